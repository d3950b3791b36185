//! Published releases: names and digests. The files themselves lie beside the database.

use super::{Connection, StoreError, Writing, unsigned};
use crate::clock::Moment;

/// A published release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub name: String,
    pub sha256: String,
    pub size: u64,
    pub published_at: Moment,
    pub published_by: String,
}

type Row = (String, String, i64, i64, String);

/// Returns every release, by name.
pub async fn releases(db: &mut Connection) -> Result<Vec<Release>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT name, sha256, size, published_at, published_by FROM releases ORDER BY name",
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(release_of).collect())
}

/// Returns the release of this name.
pub async fn release(db: &mut Connection, name: &str) -> Result<Option<Release>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT name, sha256, size, published_at, published_by FROM releases WHERE name = $1",
    )
    .bind(name)
    .fetch_optional(db)
    .await?;
    Ok(row.map(release_of))
}

fn release_of((name, sha256, size, published_at, published_by): Row) -> Release {
    Release {
        name,
        sha256,
        size: unsigned(size),
        published_at: Moment::from_micros(published_at),
        published_by,
    }
}

impl Writing {
    /// Records a release whose file is in place.
    pub async fn add_release(
        &mut self,
        name: &str,
        sha256: &str,
        size: u64,
    ) -> Result<(), StoreError> {
        let (now, actor) = (self.now().micros(), self.actor.clone());
        sqlx::query(
            "INSERT INTO releases (name, sha256, size, published_at, published_by) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(name)
        .bind(sha256)
        .bind(i64::try_from(size).unwrap_or(i64::MAX))
        .bind(now)
        .bind(actor)
        .execute(self.db())
        .await?;
        self.note("publish release", name, sha256).await
    }
}
