//! Who did what when. Entries are only ever added, and the engine refuses anything else; no secret is ever in one.

use super::{Connection, StoreError, Writing};
use crate::clock::Moment;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Entry {
    /// Its place in the order in which things happened.
    pub number: i64,
    /// In microseconds since 1970.
    pub at: i64,
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub detail: String,
}

/// Returns the last entries, oldest first.
pub async fn last_entries(db: &mut Connection, count: u32) -> Result<Vec<Entry>, StoreError> {
    let mut entries: Vec<Entry> = sqlx::query_as(
        "SELECT number, at, actor, action, subject, detail FROM audit ORDER BY number DESC LIMIT $1",
    )
    .bind(i64::from(count))
    .fetch_all(db)
    .await?;
    entries.reverse();
    Ok(entries)
}

/// Returns the first entries after the one of a number that are not older than a moment, oldest first.
pub async fn entries_after(
    db: &mut Connection,
    number: i64,
    since: Moment,
    count: u32,
) -> Result<Vec<Entry>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT number, at, actor, action, subject, detail FROM audit
         WHERE number > $1 AND at >= $2 ORDER BY number LIMIT $3",
    )
    .bind(number)
    .bind(since.micros())
    .bind(i64::from(count))
    .fetch_all(db)
    .await?)
}

impl Writing {
    /// Adds an entry in the name of this transaction's actor.
    pub async fn note(
        &mut self,
        action: &str,
        subject: impl std::fmt::Display,
        detail: impl std::fmt::Display,
    ) -> Result<(), StoreError> {
        // There is one writer at a time: nobody else gets this number.
        sqlx::query(
            "INSERT INTO audit (number, at, actor, action, subject, detail)
             VALUES ((SELECT COALESCE(MAX(number), 0) + 1 FROM audit), $1, $2, $3, $4, $5)",
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
