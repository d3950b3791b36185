//! Software on computers: the wish that it be there or be gone, inside a transaction of the store.

use slap::SupplyState;

use crate::identity::ComputerId;
use crate::placement::place_waiting;
use crate::store::{StoreError, Writing, computers, instances, supplies};

/// Why a release cannot be supplied or removed.
#[derive(Debug, thiserror::Error)]
pub enum SupplyError {
    #[error("there is no computer `{0}`")]
    NoComputer(ComputerId),
    #[error("{count} instance(s) on `{computer}` still run that software: destroy them first")]
    InUse { computer: ComputerId, count: usize },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Supplies a release that is supplied nowhere, if there is such a computer.
pub async fn supply_if_nowhere(
    writing: &mut Writing,
    computer: Option<&str>,
    url: &str,
) -> Result<(), StoreError> {
    let Some(Ok(computer)) = computer.map(str::parse::<ComputerId>) else {
        return Ok(());
    };
    if !supplies::is_supplied(writing.db(), url).await?
        && computers::computer(writing.db(), &computer)
            .await?
            .is_some()
    {
        writing
            .set_supply(&computer, url, SupplyState::Available)
            .await?;
    }
    Ok(())
}

/// Wishes that a release be on a computer, or be gone from it.
pub async fn supply(
    writing: &mut Writing,
    computer: &ComputerId,
    url: &str,
    state: SupplyState,
) -> Result<(), SupplyError> {
    if computers::computer(writing.db(), computer).await?.is_none() {
        return Err(SupplyError::NoComputer(computer.clone()));
    }
    if state == SupplyState::Destroyed {
        let count = instances::instances_on(writing.db(), computer)
            .await?
            .values()
            .filter(|it| it.software_url == url)
            .count();
        if count > 0 {
            return Err(SupplyError::InUse {
                computer: computer.clone(),
                count,
            });
        }
        if supplies::supply(writing.db(), computer, url)
            .await?
            .is_none()
        {
            return Ok(());
        }
    }
    writing.set_supply(computer, url, state).await?;
    Ok(place_waiting(writing).await?)
}
