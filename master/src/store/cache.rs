//! What computers built for others of their project: entries with their signatures, and when each was last taken. The archives lie
//! beside the database; where several masters share one, in it.

use super::{Connection, StoreError, Writing, computers, projects, unsigned};
use crate::cache::{Signed, leaving};
use crate::clock::Moment;
use crate::identity::{ComputerId, ProjectName};

/// What counts of a computer that offers or takes what was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub project: ProjectName,
    /// Whether others may take what it builds.
    pub trusted: bool,
    /// By which it signs, in PEM.
    pub key: Option<String>,
}

/// An archive of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    pub size: u64,
    pub used_at: Moment,
}

/// Returns what counts of a computer.
pub async fn standing(
    db: &mut Connection,
    computer: &ComputerId,
) -> Result<Option<Standing>, StoreError> {
    let row: Option<(String, i64, Option<String>)> =
        sqlx::query_as("SELECT project, trusted, cache_key FROM computers WHERE reference = $1")
            .bind(computer.as_str())
            .fetch_optional(db)
            .await?;
    let standing = |(project, trusted, key): (String, i64, Option<String>)| {
        Ok(Standing {
            project: projects::name(&project)?,
            trusted: trusted != 0,
            key,
        })
    };
    row.map(standing).transpose()
}

/// Returns the keys of a project's trusted computers.
pub async fn keys(
    db: &mut Connection,
    project: &ProjectName,
) -> Result<Vec<(ComputerId, String)>, StoreError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT reference, cache_key FROM computers
         WHERE project = $1 AND trusted = 1 AND cache_key IS NOT NULL AND state <> 'revoked' ORDER BY reference",
    )
    .bind(project.as_str())
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|(reference, key)| Ok((computers::reference(&reference)?, key)))
        .collect()
}

/// Returns an entry and its signature.
pub async fn entry(
    db: &mut Connection,
    project: &ProjectName,
    system: &str,
    name: &str,
) -> Result<Option<(String, String)>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT entry, signature FROM cached WHERE project = $1 AND system = $2 AND name = $3",
    )
    .bind(project.as_str())
    .bind(system)
    .bind(name)
    .fetch_optional(db)
    .await?)
}

/// Returns the archive with this digest, if an entry of the project has it.
pub async fn archive(
    db: &mut Connection,
    project: &ProjectName,
    system: &str,
    sha256: &str,
) -> Result<Option<Archive>, StoreError> {
    let row: Option<(i64, i64)> = sqlx::query_as(
        "SELECT size, used_at FROM cached WHERE project = $1 AND system = $2 AND sha256 = $3",
    )
    .bind(project.as_str())
    .bind(system)
    .bind(sha256)
    .fetch_optional(db)
    .await?;
    Ok(row.map(|(size, used_at)| Archive {
        size: unsigned(size),
        used_at: Moment::from_micros(used_at),
    }))
}

/// Returns the digests of all archives that any project has.
pub async fn digests(db: &mut Connection) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar("SELECT DISTINCT sha256 FROM cached")
        .fetch_all(db)
        .await?)
}

impl Writing {
    /// Lets a project's computers take what this one builds, or no longer.
    pub async fn set_trusted(
        &mut self,
        computer: &ComputerId,
        trusted: bool,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE computers SET trusted = $2 WHERE reference = $1")
            .bind(computer.as_str())
            .bind(i64::from(trusted))
            .execute(self.db())
            .await?;
        let word = if trusted { "trusted" } else { "not trusted" };
        self.note("set trust", computer, word);
        Ok(())
    }

    /// Records by which key a computer signs what it builds.
    pub async fn set_cache_key(
        &mut self,
        computer: &ComputerId,
        key: &str,
    ) -> Result<(), StoreError> {
        let changed = sqlx::query(
            "UPDATE computers SET cache_key = $2 WHERE reference = $1 AND (cache_key IS NULL OR cache_key <> $2)",
        )
        .bind(computer.as_str())
        .bind(key)
        .execute(self.db())
        .await?
        .rows_affected();
        if changed > 0 {
            self.note("set cache key", computer, "");
        }
        Ok(())
    }

    /// Keeps an entry whose archive is in place; those of the project that were used longest ago go, if the room is too small for all.
    pub async fn put_cached(
        &mut self,
        project: &ProjectName,
        signed: &Signed,
        room: u64,
    ) -> Result<(), StoreError> {
        let (entry, now) = (&signed.entry, self.now().micros());
        let (system, name) = (entry.system.as_str(), entry.name());
        let others: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT system, name, size FROM cached WHERE project = $1 AND NOT (system = $2 AND name = $3)
             ORDER BY used_at, system, name",
        )
        .bind(project.as_str())
        .bind(system)
        .bind(name.as_str())
        .fetch_all(self.db())
        .await?;
        let sizes: Vec<u64> = others.iter().map(|(.., size)| unsigned(*size)).collect();
        for (system, name, _) in &others[..leaving(&sizes, entry.size, room)] {
            self.remove_cached(project, system, name).await?;
        }
        sqlx::query(
            "INSERT INTO cached (project, system, name, entry, signature, sha256, size, used_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (project, system, name) DO UPDATE SET entry = excluded.entry, signature = excluded.signature,
                 sha256 = excluded.sha256, size = excluded.size, used_at = excluded.used_at",
        )
        .bind(project.as_str())
        .bind(system)
        .bind(name.as_str())
        .bind(&signed.text)
        .bind(&signed.signature)
        .bind(entry.sha256.as_str())
        .bind(i64::try_from(entry.size).unwrap_or(i64::MAX))
        .bind(now)
        .execute(self.db())
        .await?;
        self.remove_unused_pieces().await?;
        self.note("cache", &entry.url, format!("{project} {system}"));
        Ok(())
    }

    async fn remove_cached(
        &mut self,
        project: &ProjectName,
        system: &str,
        name: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM cached WHERE project = $1 AND system = $2 AND name = $3")
            .bind(project.as_str())
            .bind(system)
            .bind(name)
            .execute(self.db())
            .await?;
        self.note("forget cached", name, format!("{project} {system}"));
        Ok(())
    }

    /// Forgets an entry whose archive is lost, so that somebody offers it anew.
    pub async fn forget_archive(
        &mut self,
        project: &ProjectName,
        sha256: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM cached WHERE project = $1 AND sha256 = $2")
            .bind(project.as_str())
            .bind(sha256)
            .execute(self.db())
            .await?;
        self.note("forget cached", sha256, "its archive is lost");
        Ok(())
    }

    /// Notes that an archive was taken.
    pub async fn used_archive(
        &mut self,
        project: &ProjectName,
        sha256: &str,
    ) -> Result<(), StoreError> {
        let now = self.now().micros();
        sqlx::query("UPDATE cached SET used_at = $3 WHERE project = $1 AND sha256 = $2")
            .bind(project.as_str())
            .bind(sha256)
            .bind(now)
            .execute(self.db())
            .await?;
        Ok(())
    }
}
