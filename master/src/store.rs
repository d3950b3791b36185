//! The master's memory: SQLite in one file, one noun a file below, functions named for what they mean.
//! SQL lives here and nowhere else, and stays what PostgreSQL understands too. Types of the wire never come here.

pub mod audit;
pub mod certificates;
pub mod computers;
pub mod instances;
pub mod operators;
pub mod partitions;
pub mod releases;
pub mod settings;
pub mod supplies;
pub mod tokens;
pub mod trees;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

use crate::clock::Moment;
use crate::identity::ComputerId;
use crate::watch::Generations;

/// The engine's connection: what reading functions take.
pub type Connection = sqlx::SqliteConnection;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// What goes wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("failed to open the database `{path}`")]
    FailedOpen {
        path: Utf8PathBuf,
        #[source]
        source: sqlx::Error,
    },
    #[error(
        "the database `{path}` was written by a newer version of this program: run that version, or restore a backup"
    )]
    Newer { path: Utf8PathBuf },
    #[error("failed to bring the database `{path}` to this program's version")]
    FailedMigrate {
        path: Utf8PathBuf,
        #[source]
        source: MigrateError,
    },
    #[error("failed to ask the database")]
    Database(#[from] sqlx::Error),
    #[error("the database holds {what} that cannot be read")]
    Corrupted {
        what: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The database.
#[derive(Clone, Debug)]
pub struct Store {
    readers: SqlitePool,
    // One connection: writers queue here, not in SQLite's busy handler.
    writer: SqlitePool,
    generations: Arc<Generations>,
}

impl Store {
    /// Opens the database at `path`, makes it when there is none, and brings it to this version.
    pub async fn open(path: &Utf8Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        let failed = |source| StoreError::FailedOpen {
            path: path.to_owned(),
            source,
        };
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone())
            .await
            .map_err(failed)?;
        migrate(&writer, path).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(4)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.read_only(true))
            .await
            .map_err(failed)?;
        Ok(Self {
            readers,
            writer,
            generations: Arc::new(Generations::default()),
        })
    }

    /// Returns a connection to read with.
    pub async fn read(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        Ok(self.readers.acquire().await?)
    }

    /// Returns a connection that sees one moment of the database, whatever is written meanwhile.
    pub async fn snapshot(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.readers.begin().await?)
    }

    /// Begins to write, as `actor`, who stands in the audit. Nothing is there for others before `commit`.
    pub async fn write(
        &self,
        actor: impl Into<String>,
        now: Moment,
    ) -> Result<Writing, StoreError> {
        Ok(Writing {
            transaction: self.writer.begin_with("BEGIN IMMEDIATE").await?,
            generations: Arc::clone(&self.generations),
            changed: BTreeMap::new(),
            actor: actor.into(),
            now,
        })
    }

    /// Asks the database for nothing, to see that it answers.
    pub async fn is_alive(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.readers).await?;
        Ok(())
    }

    /// Returns who waits for changes.
    pub fn generations(&self) -> &Generations {
        &self.generations
    }

    /// Closes every connection, so that the file alone holds everything.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

async fn migrate(pool: &SqlitePool, path: &Utf8Path) -> Result<(), StoreError> {
    let path = path.to_owned();
    match MIGRATIONS.run(pool).await {
        Ok(()) => Ok(()),
        // The database has a migration that this program has not.
        Err(MigrateError::VersionMissing(_)) => Err(StoreError::Newer { path }),
        Err(source) => Err(StoreError::FailedMigrate { path, source }),
    }
}

/// One transaction that writes. Dropped without `commit`, it never was.
#[derive(Debug)]
pub struct Writing {
    transaction: Transaction<'static, Sqlite>,
    generations: Arc<Generations>,
    changed: BTreeMap<ComputerId, u64>,
    actor: String,
    now: Moment,
}

impl Writing {
    /// Returns when this transaction takes place.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Returns in whose name this transaction is.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// Makes it so, and wakes those who wait for the computers whose desired state moved.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.transaction.commit().await?;
        for (computer, generation) in &self.changed {
            self.generations.publish(computer, *generation);
        }
        Ok(())
    }

    /// Returns the connection, to read what this transaction sees.
    pub fn db(&mut self) -> &mut Connection {
        &mut self.transaction
    }

    /// Returns the next number of a kind.
    async fn next_number(&mut self, counter: &str) -> Result<u64, StoreError> {
        let value: i64 = sqlx::query_scalar(
            "UPDATE counters SET value = value + 1 WHERE name = $1 RETURNING value",
        )
        .bind(counter)
        .fetch_one(self.db())
        .await?;
        Ok(value.unsigned_abs())
    }
}

/// Returns a map or list as it is kept in a column.
fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("maps and lists of strings are always JSON")
}

fn from_json<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| corrupted(what, source))
}

fn corrupted(
    what: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::Corrupted {
        what: what.to_owned(),
        source: source.into(),
    }
}

/// Reads a stored word; the empty one stands for none.
fn word<T: std::str::FromStr>(what: &str, text: &str) -> Result<Option<T>, StoreError>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|err| corrupted(what, err))
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests;
