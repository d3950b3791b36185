//! Instance trees: what one request of a person grew into. A tree lives as long as any of its instances.

use super::computers::reference;
use super::{Connection, StoreError, Writing};
use crate::identity::{ProjectName, UserName};
use crate::instance::TreeId;

/// Returns the tree of this title and owner in a project.
pub async fn tree(
    db: &mut Connection,
    project: &ProjectName,
    owner: Option<&UserName>,
    title: &str,
) -> Result<Option<TreeId>, StoreError> {
    let found: Option<String> = sqlx::query_scalar(
        "SELECT reference FROM trees WHERE project = $1 AND owner = $2 AND title = $3",
    )
    .bind(project.as_str())
    .bind(owner.map_or("", UserName::as_str))
    .bind(title)
    .fetch_optional(db)
    .await?;
    Ok(found.map(TreeId))
}

impl Writing {
    /// Adds a tree under its root's number, in the name of this transaction's actor.
    pub(super) async fn add_tree(
        &mut self,
        number: u64,
        project: &ProjectName,
        owner: Option<&UserName>,
        title: &str,
    ) -> Result<TreeId, StoreError> {
        let reference = format!("HOSTSUBS-{number}");
        let (now, actor) = (self.now().micros(), self.actor.clone());
        sqlx::query(
            "INSERT INTO trees (reference, project, owner, title, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&reference)
        .bind(project.as_str())
        .bind(owner.map_or("", UserName::as_str))
        .bind(title)
        .bind(now)
        .bind(actor)
        .execute(self.db())
        .await?;
        Ok(TreeId(reference))
    }

    /// Gives a tree another title: that of its root.
    pub(super) async fn set_tree_title(
        &mut self,
        tree: &TreeId,
        title: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE trees SET title = $2 WHERE reference = $1")
            .bind(&tree.0)
            .bind(title)
            .execute(self.db())
            .await?;
        // Every instance of the tree is told its root's title.
        let computers: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT p.computer
             FROM instances i JOIN partitions p ON p.instance = COALESCE(i.host, i.reference)
             WHERE i.tree = $1",
        )
        .bind(&tree.0)
        .fetch_all(self.db())
        .await?;
        for computer in computers {
            self.retell(&reference(&computer)?).await?;
        }
        Ok(())
    }

    /// Forgets a tree whose last instance is gone.
    pub async fn remove_empty_tree(&mut self, tree: &TreeId) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM trees WHERE reference = $1
             AND NOT EXISTS (SELECT 1 FROM instances WHERE tree = $1)",
        )
        .bind(&tree.0)
        .execute(self.db())
        .await?;
        Ok(())
    }
}
