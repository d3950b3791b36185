//! Published releases: names and digests. The files themselves lie beside the database; where several masters share one, in it.

use std::time::Duration;

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

/// When an upload whose pieces are there and whose release is not has certainly failed.
const ABANDONED_AFTER: Duration = Duration::from_hours(24);

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

/// Returns one piece of a release's content, where masters share it.
pub async fn piece(
    db: &mut Connection,
    sha256: &str,
    position: i64,
) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(
        sqlx::query_scalar(
            "SELECT content FROM release_pieces WHERE sha256 = $1 AND position = $2",
        )
        .bind(sha256)
        .bind(position)
        .fetch_optional(db)
        .await?,
    )
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
    /// Puts one piece of a release's content there for all masters. A first one takes away what others left that never came to an end.
    pub async fn put_piece(
        &mut self,
        sha256: &str,
        position: i64,
        content: &[u8],
    ) -> Result<(), StoreError> {
        let now = self.now();
        if position == 0 {
            sqlx::query("UPDATE release_pieces SET put_at = $2 WHERE sha256 = $1")
                .bind(sha256)
                .bind(now.micros())
                .execute(self.db())
                .await?;
            self.remove_unused_pieces().await?;
        }
        sqlx::query(
            "INSERT INTO release_pieces (sha256, position, content, put_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (sha256, position) DO UPDATE SET put_at = excluded.put_at",
        )
        .bind(sha256)
        .bind(position)
        .bind(content.to_vec())
        .bind(now.micros())
        .execute(self.db())
        .await?;
        Ok(())
    }

    /// Takes away pieces of what nobody has any more, or never had because its upload did not come to an end.
    pub(super) async fn remove_unused_pieces(&mut self) -> Result<(), StoreError> {
        let abandoned = self.now().minus(ABANDONED_AFTER).micros();
        sqlx::query(
            "DELETE FROM release_pieces WHERE put_at < $1
             AND NOT EXISTS (SELECT 1 FROM releases r WHERE r.sha256 = release_pieces.sha256)
             AND NOT EXISTS (SELECT 1 FROM cached c WHERE c.sha256 = release_pieces.sha256)",
        )
        .bind(abandoned)
        .execute(self.db())
        .await?;
        Ok(())
    }

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
        self.note("publish release", name, sha256);
        Ok(())
    }
}
