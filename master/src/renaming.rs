//! Another name for an instance, inside a transaction of the store. A root's name is its tree's.

use crate::instance::Instance;
use crate::store::{StoreError, Writing, instances, trees};

/// Why an instance keeps its name.
#[derive(Debug, thiserror::Error)]
pub enum RenameError {
    #[error("there is an instance `{0}` in this tree already")]
    Taken(String),
    #[error("there is a service `{0}` already")]
    TreeTaken(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives an instance another title. Who sees it is processed again.
pub async fn rename(
    writing: &mut Writing,
    instance: &Instance,
    title: &str,
) -> Result<(), RenameError> {
    if instance.title == title {
        return Ok(());
    }
    let there = instances::instance_in_tree(writing.db(), &instance.tree, title).await?;
    if there.is_some() {
        return Err(RenameError::Taken(title.to_owned()));
    }
    if instance.is_root() {
        let owner = instance.owner.as_ref();
        let there = trees::tree(writing.db(), &instance.project, owner, title).await?;
        if there.is_some() {
            return Err(RenameError::TreeTaken(title.to_owned()));
        }
    }
    writing.set_title(instance, title).await?;
    if !instance.is_root() {
        writing.process_again(&instance.reference).await?;
        return Ok(());
    }
    // Every member is told its root's title.
    for member in instances::members(writing.db(), &instance.tree).await? {
        writing.process_again(&member.reference).await?;
    }
    Ok(())
}
