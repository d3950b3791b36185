//! What a backup needs of a database that masters may be using: a copy of this moment, what it says of itself, and whether anybody is there.

use camino::Utf8Path;
use sqlx::{ConnectOptions as _, Connection as _};

use super::engine::{self, Engine, Location};
use super::releases::{self, Release};
use super::{Connection, StoreError, Writing, corrupted, settings, trouble};
use crate::clock::Moment;

/// How far the numbers of what is made after a restore are ahead of those in the backup.
///
/// What was made between the two has numbers, and certificates, that nobody remembers: nothing else may ever get them.
const GAP: i64 = 10_000;

/// What a database says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The pin of the CA that it belongs to.
    pub ca: Option<String>,
    /// The number of its newest migration.
    pub schema: i64,
    pub releases: Vec<Release>,
}

/// Returns the number of this program's newest migration.
pub fn newest_schema() -> i64 {
    engine::newest_migration()
}

/// Writes what the database is at this moment to `to`, which is not there yet. SQLite's alone; nobody who reads or writes is held up.
pub async fn copy(file: &Utf8Path, to: &Utf8Path) -> Result<(), StoreError> {
    let mut db = connect(&Location::File(file.to_owned())).await?;
    sqlx::query("VACUUM INTO $1")
        .bind(to.as_str())
        .execute(&mut db)
        .await?;
    Ok(db.close().await?)
}

/// Reads what a database says of itself; of a file, whether it is whole.
pub async fn facts(location: &Location) -> Result<Facts, StoreError> {
    let mut db = connect(location).await?;
    if location.engine() == Engine::Sqlite {
        must_be_whole(&mut db).await?;
    }
    let facts = Facts {
        ca: settings::ca(&mut db).await?,
        schema: sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
            .fetch_one(&mut db)
            .await?,
        releases: releases::releases(&mut db).await?,
    };
    db.close().await?;
    Ok(facts)
}

/// Says whether there is nothing in a database.
pub async fn is_empty(location: &Location) -> Result<bool, StoreError> {
    let tables = match location.engine() {
        Engine::Sqlite => "SELECT COUNT(*) FROM sqlite_schema",
        Engine::Postgres => {
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = current_schema()"
        }
    };
    let mut db = connect(location).await?;
    let count: i64 = sqlx::query_scalar(tables).fetch_one(&mut db).await?;
    db.close().await?;
    Ok(count == 0)
}

/// Says whether a program has a database open, beside this one.
pub async fn is_in_use(location: &Location) -> Result<bool, StoreError> {
    let mut db = connect(location).await?;
    let others = match location.engine() {
        // Whoever has a file of this kind open holds a lock on it, asking or not.
        Engine::Sqlite => {
            let alone = "PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; SELECT COUNT(*) FROM sqlite_schema";
            match sqlx::raw_sql(alone).execute(&mut db).await {
                Ok(_) => 0,
                Err(sqlx::Error::Database(said)) if trouble::is_busy(&*said) => 1,
                Err(error) => return Err(error.into()),
            }
        }
        Engine::Postgres => {
            sqlx::query_scalar(
                "SELECT COUNT(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
            )
            .fetch_one(&mut db)
            .await?
        }
    };
    db.close().await?;
    Ok(others > 0)
}

async fn connect(location: &Location) -> Result<Connection, StoreError> {
    sqlx::any::install_default_drivers();
    let failed = |source| StoreError::FailedOpen {
        database: location.clone(),
        source,
    };
    // Not for reading alone: a file that nobody has open needs its log before it can be read. None is made.
    let options = location.options("rw").map_err(failed)?;
    options.connect().await.map_err(failed)
}

async fn must_be_whole(db: &mut Connection) -> Result<(), StoreError> {
    let said: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_all(&mut *db)
        .await?;
    if said == ["ok"] {
        return Ok(());
    }
    Err(corrupted("pages", said.join("; ")))
}

impl Writing {
    /// Marks a database that came from a backup of `made_at`.
    pub async fn mark_restored(&mut self, made_at: Moment) -> Result<(), StoreError> {
        sqlx::query("UPDATE counters SET value = value + $1")
            .bind(GAP)
            .execute(self.db())
            .await?;
        let detail = format!("from a backup made at {}", made_at.seconds());
        self.note("restore", "master", detail);
        Ok(())
    }
}
