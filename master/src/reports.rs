//! What nodes say of instances, and what follows from it, inside a transaction of the store.

use std::collections::BTreeMap;

use slap::RequestedState;
use slap::state::InstanceReport;

use crate::instance::Instance;
use crate::placement::place_waiting;
use crate::store::{StoreError, Writing, instances};

/// Records what a node says of an instance, of an error with the end of its log, and does what follows from it.
pub async fn record(
    writing: &mut Writing,
    instance: &Instance,
    said: InstanceReport,
    log: &str,
) -> Result<(), StoreError> {
    let status = match said {
        InstanceReport::Started => "#access Instance correctly started".to_owned(),
        InstanceReport::Stopped => "#access Instance correctly stopped".to_owned(),
        InstanceReport::Error => format!("#error while instanciating: {}", last_words(log)),
        InstanceReport::Destroyed => return destroyed(writing, instance).await,
    };
    writing
        .report_instance(&instance.reference, said, &status)
        .await
}

/// Has an instance processed again, and whoever requested it, in turn.
pub async fn bang(
    writing: &mut Writing,
    instance: &Instance,
    message: &str,
) -> Result<(), StoreError> {
    let status = format!("#error bang called: {}", last_words(message));
    writing
        .report_instance(&instance.reference, InstanceReport::Error, &status)
        .await?;
    writing.note("bang", &instance.reference, last_words(message));
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
async fn destroyed(writing: &mut Writing, instance: &Instance) -> Result<(), StoreError> {
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

/// Returns the end of a log, for a status.
pub fn last_words(log: &str) -> &str {
    const LENGTH: usize = 500;
    let log = log.trim();
    let start = log.len().saturating_sub(LENGTH);
    let start = (start..=log.len()).find(|&it| log.is_char_boundary(it));
    &log[start.unwrap_or(0)..]
}
