//! Finding partitions for instances, inside a transaction of the store. Which one is `allocation`'s to choose.

use slap::InstanceGuid;

use crate::allocation::{Wish, allocate};
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
    let wish = Wish {
        sla: &instance.sla,
        shared: instance.shared,
    };
    loop {
        let candidates = supplies::candidates(writing.db(), &instance.software_url).await?;
        match allocate(&wish, &candidates, writing.now()) {
            Ok(choice) => {
                // Somebody else may have been quicker where several masters share a database: choose again.
                if writing
                    .occupy(&choice.computer, &choice.partition, &instance.reference)
                    .await?
                {
                    writing.set_waiting(&instance.reference, "").await?;
                    writing.process_again(&instance.reference).await?;
                    return Ok(None);
                }
            }
            Err(reason) => {
                let reason = reason.to_string();
                writing.set_waiting(&instance.reference, &reason).await?;
                return Ok(Some(reason));
            }
        }
    }
}
