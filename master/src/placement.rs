//! Finding partitions for instances, inside a transaction of the store. Which one is `allocation`'s to choose.
//! One transaction writes at a time, also where several masters share a database: what is free when it is read is free when it is taken.

use std::collections::BTreeSet;

use slap::InstanceGuid;

use crate::allocation::{Waiting, Wish, allocate, choose_host, network};
use crate::instance::Instance;
use crate::store::{StoreError, Writing, instances, supplies};

/// Finds a partition for an instance that may have one already. The inner error is why it still waits.
pub async fn place(
    writing: &mut Writing,
    reference: &InstanceGuid,
) -> Result<Result<Instance, String>, StoreError> {
    let instance = read(writing, reference).await?;
    if instance.place.is_some() {
        return Ok(Ok(instance));
    }
    match try_to_place(writing, &instance).await? {
        None => Ok(Ok(read(writing, reference).await?)),
        Some(reason) => Ok(Err(reason)),
    }
}

/// Gives partitions to those who wait, first come first served: called whenever there may be more room than before.
pub async fn place_waiting(writing: &mut Writing) -> Result<(), StoreError> {
    for instance in instances::waiting(writing.db()).await? {
        try_to_place(writing, &instance).await?;
    }
    Ok(())
}

/// Gives shares of a new instance to those who wait for one of its release.
pub async fn place_waiting_shares(
    writing: &mut Writing,
    software_url: &str,
) -> Result<(), StoreError> {
    for instance in instances::waiting_shares(writing.db(), software_url).await? {
        try_to_place(writing, &instance).await?;
    }
    Ok(())
}

async fn read(writing: &mut Writing, reference: &InstanceGuid) -> Result<Instance, StoreError> {
    instances::instance(writing.db(), reference)
        .await?
        .ok_or(StoreError::Database(sqlx::Error::RowNotFound))
}

/// Returns why the instance still waits, or nothing when it has its partition.
async fn try_to_place(
    writing: &mut Writing,
    instance: &Instance,
) -> Result<Option<String>, StoreError> {
    let mut networks = BTreeSet::new();
    for (computer, traits) in instances::computers_of(writing.db(), &instance.tree).await? {
        networks.insert(network(&computer, &traits));
    }
    let wish = Wish {
        sla: &instance.sla,
        software_type: &instance.software_type,
        project: &instance.project,
        taken_networks: &networks,
    };
    let placed = if instance.shared {
        share(writing, instance, &wish).await?
    } else {
        settle(writing, instance, &wish).await?
    };
    let reason = placed.err().map(|it| it.to_string());
    let waiting = reason.as_deref().unwrap_or_default();
    if instance.waiting != waiting {
        writing.set_waiting(&instance.reference, waiting).await?;
    }
    Ok(reason)
}

/// Gives the instance a partition of its own.
async fn settle(
    writing: &mut Writing,
    instance: &Instance,
    wish: &Wish<'_>,
) -> Result<Result<(), Waiting>, StoreError> {
    let candidates = supplies::candidates(
        writing.db(),
        &instance.project,
        &instance.software_url,
        instance.sla.get("capability").map(String::as_str),
    )
    .await?;
    let choice = match allocate(wish, &candidates, writing.now()) {
        Ok(choice) => choice,
        Err(waiting) => return Ok(Err(waiting)),
    };
    writing
        .occupy(&choice.computer, &choice.partition, &instance.reference)
        .await?;
    writing.process_again(&instance.reference).await?;
    Ok(Ok(()))
}

/// Gives the instance a share of another's partition.
async fn share(
    writing: &mut Writing,
    instance: &Instance,
    wish: &Wish<'_>,
) -> Result<Result<(), Waiting>, StoreError> {
    let hosts = instances::hosts(writing.db(), &instance.project, &instance.software_url).await?;
    match choose_host(wish, &hosts) {
        Ok(host) => {
            writing.set_host(&instance.reference, Some(&host)).await?;
            Ok(Ok(()))
        }
        Err(waiting) => Ok(Err(waiting)),
    }
}
