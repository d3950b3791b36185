//! Finding partitions for instances, inside a transaction of the store. Which one is `allocation`'s to choose.
//! One transaction writes at a time, also where several masters share a database: what is free when it is read is free when it is taken.

use std::collections::BTreeSet;

use slap::InstanceGuid;

use crate::allocation::{self, Waiting, Wish, allocate, choose_host, network};
use crate::instance::Instance;
use crate::store::{StoreError, Writing, instances, supplies};

/// Finds a partition for an instance that may have one already. The inner error is why it still waits.
pub async fn place(
    writing: &mut Writing,
    instance: Instance,
) -> Result<Result<Instance, String>, StoreError> {
    if instance.place.is_some() {
        return Ok(Ok(instance));
    }
    try_to_place(writing, instance).await
}

/// Gives partitions to those who wait, first come first served: called whenever there may be more room than before.
pub async fn place_waiting(writing: &mut Writing) -> Result<(), StoreError> {
    for instance in instances::waiting(writing.db()).await? {
        // Who waits on has why recorded.
        let _ = try_to_place(writing, instance).await?;
    }
    Ok(())
}

/// Gives shares of a new instance to those who wait for one of its release.
pub async fn place_waiting_shares(
    writing: &mut Writing,
    software_url: &str,
) -> Result<(), StoreError> {
    for instance in instances::waiting_shares(writing.db(), software_url).await? {
        // Who waits on has why recorded.
        let _ = try_to_place(writing, instance).await?;
    }
    Ok(())
}

/// Reads an instance again that this transaction changed.
async fn read(writing: &mut Writing, reference: &InstanceGuid) -> Result<Instance, StoreError> {
    instances::instance(writing.db(), reference)
        .await?
        .ok_or(StoreError::Database(sqlx::Error::RowNotFound))
}

/// Returns the instance with its partition, or why it still waits.
async fn try_to_place(
    writing: &mut Writing,
    instance: Instance,
) -> Result<Result<Instance, String>, StoreError> {
    let networks = taken_networks(writing, &instance).await?;
    let wish = Wish {
        sla: &instance.sla,
        software_type: &instance.software_type,
        project: &instance.project,
        taken_networks: &networks,
    };
    let found = if instance.shared {
        share(writing, &instance, &wish).await?
    } else {
        settle(writing, &instance, &wish).await?
    };
    let found = found.map_err(|it| it.to_string());
    let waiting = found.as_ref().err().map_or("", String::as_str);
    if instance.waiting != waiting {
        writing.set_waiting(&instance.reference, waiting).await?;
    }
    Ok(found)
}

/// Returns the networks that the rest of the tree is on, where somebody cares.
async fn taken_networks(
    writing: &mut Writing,
    instance: &Instance,
) -> Result<BTreeSet<String>, StoreError> {
    if !allocation::minds_networks(&instance.sla) {
        return Ok(BTreeSet::new());
    }
    let computers = instances::computers_of(writing.db(), &instance.tree).await?;
    Ok(computers
        .iter()
        .map(|(computer, traits)| network(computer, traits))
        .collect())
}

/// Gives the instance a partition of its own.
async fn settle(
    writing: &mut Writing,
    instance: &Instance,
    wish: &Wish<'_>,
) -> Result<Result<Instance, Waiting>, StoreError> {
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
    let place = writing
        .occupy(&choice.computer, &choice.partition, &instance.reference)
        .await?;
    // To its node it must be newer than what had the partition before; one that was made right now is.
    if instance.timestamp < writing.now() {
        writing.process_again(&instance.reference).await?;
    }
    Ok(Ok(Instance {
        place: Some(place),
        waiting: String::new(),
        timestamp: instance.timestamp.max(writing.now()),
        ..instance.clone()
    }))
}

/// Gives the instance a share of another's partition.
async fn share(
    writing: &mut Writing,
    instance: &Instance,
    wish: &Wish<'_>,
) -> Result<Result<Instance, Waiting>, StoreError> {
    let hosts = instances::hosts(writing.db(), &instance.project, &instance.software_url).await?;
    match choose_host(wish, &hosts) {
        Ok(host) => {
            writing.set_host(&instance.reference, Some(&host)).await?;
            Ok(Ok(read(writing, &instance.reference).await?))
        }
        Err(waiting) => Ok(Err(waiting)),
    }
}
