//! Who did what when. Entries are only ever added, and the engine refuses anything else; no secret is ever in one.

use sqlx::AssertSqlSafe;

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

/// How many entries go into one statement.
const AT_ONCE: usize = 50;

/// What happened in a transaction that has not ended.
#[derive(Debug)]
pub(super) struct Note {
    action: String,
    subject: String,
    detail: String,
}

impl Writing {
    /// Adds an entry in the name of this transaction's actor, when the transaction commits.
    pub fn note(
        &mut self,
        action: &str,
        subject: impl std::fmt::Display,
        detail: impl std::fmt::Display,
    ) {
        self.notes.push(Note {
            action: action.to_owned(),
            subject: subject.to_string(),
            detail: detail.to_string(),
        });
    }

    /// Adds what was noted.
    pub(super) async fn write_notes(&mut self) -> Result<(), StoreError> {
        let notes = std::mem::take(&mut self.notes);
        for notes in notes.chunks(AT_ONCE) {
            let mut query = sqlx::query(AssertSqlSafe(insert(notes.len())))
                .bind(self.now.micros())
                .bind(self.actor.clone());
            for note in notes {
                query = query.bind(&note.action);
                query = query.bind(&note.subject).bind(&note.detail);
            }
            query.execute(&mut *self.transaction).await?;
        }
        Ok(())
    }
}

/// Returns the statement for so many entries. There is one writer at a time: nobody else gets their numbers.
fn insert(entries: usize) -> String {
    let rows = (1..=entries).map(|entry| {
        let first = entry * 3;
        format!(
            "((SELECT COALESCE(MAX(number), 0) FROM audit) + {entry}, $1, $2, ${first}, ${}, ${})",
            first + 1,
            first + 2
        )
    });
    let rows: Vec<String> = rows.collect();
    format!(
        "INSERT INTO audit (number, at, actor, action, subject, detail) VALUES {}",
        rows.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_numbered_on() {
        assert_eq!(
            insert(2),
            "INSERT INTO audit (number, at, actor, action, subject, detail) VALUES \
             ((SELECT COALESCE(MAX(number), 0) FROM audit) + 1, $1, $2, $3, $4, $5), \
             ((SELECT COALESCE(MAX(number), 0) FROM audit) + 2, $1, $2, $6, $7, $8)"
        );
    }
}
