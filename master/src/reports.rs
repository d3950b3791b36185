//! What nodes say of instances, and what follows from it, inside a transaction of the store.

use std::collections::BTreeMap;

use slap::RequestedState;
use slap::state::InstanceReport;

use crate::instance::Instance;
use crate::placement::place_waiting;
use crate::store::{StoreError, Writing, instances};

/// Has an instance processed again, and whoever requested it, in turn.
pub async fn bang(
    writing: &mut Writing,
    instance: &Instance,
    status: &str,
) -> Result<(), StoreError> {
    writing
        .report_instance(&instance.reference, InstanceReport::Error, status)
        .await?;
    let mut next = Some(instance.reference.clone());
    while let Some(reference) = next {
        writing.process_again(&reference).await?;
        next = instances::instance(writing.db(), &reference)
            .await?
            .and_then(|it| it.parent);
    }
    Ok(())
}

/// Takes note that a node destroyed what was in a partition. Unasked, it is noted and nothing else.
pub async fn destroyed(writing: &mut Writing, instance: &Instance) -> Result<(), StoreError> {
    let status = "#access Instance correctly destroyed";
    writing
        .report_instance(&instance.reference, InstanceReport::Destroyed, status)
        .await?;
    let Some(place) = &instance.place else {
        return Ok(());
    };
    if instance.requested != RequestedState::Destroyed {
        tracing::warn!(instance = %instance.reference, "a node destroyed an instance that nobody wanted destroyed");
        return Ok(());
    }
    writing.vacate(&place.computer, &place.partition).await?;
    writing.remove_instance(instance).await?;
    place_waiting(writing).await
}

/// Records what an instance publishes; who requested it is processed again when that is news.
pub async fn publish(
    writing: &mut Writing,
    instance: &Instance,
    connection: &BTreeMap<String, String>,
) -> Result<(), StoreError> {
    if instance.connection == *connection {
        return Ok(());
    }
    writing
        .set_connection(&instance.reference, connection)
        .await?;
    match &instance.parent {
        Some(parent) => writing.process_again(parent).await,
        None => Ok(()),
    }
}
