//! Who did what when. Entries are only ever added; no secret is ever in one.

use super::{Connection, StoreError, Writing};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Entry {
    pub at: i64,
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub detail: String,
}

/// Returns the last entries, oldest first.
pub async fn last_entries(db: &mut Connection, count: u32) -> Result<Vec<Entry>, StoreError> {
    let mut entries: Vec<Entry> = sqlx::query_as(
        "SELECT at, actor, action, subject, detail FROM audit ORDER BY at DESC LIMIT $1",
    )
    .bind(i64::from(count))
    .fetch_all(db)
    .await?;
    entries.reverse();
    Ok(entries)
}

impl Writing {
    /// Adds an entry in the name of this transaction's actor.
    pub async fn note(
        &mut self,
        action: &str,
        subject: impl std::fmt::Display,
        detail: impl std::fmt::Display,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO audit (at, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(self.now.micros())
        .bind(self.actor.clone())
        .bind(action)
        .bind(subject.to_string())
        .bind(detail.to_string())
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }
}
