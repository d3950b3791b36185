//! The master's memory: SQLite in one file, or PostgreSQL for several masters; one noun a file below, functions named for what they mean.
//! SQL lives here and nowhere else, one text for both engines; what they do differently is in `engine`. Types of the wire never come here.

pub mod audit;
pub mod cache;
pub mod certificates;
pub mod computers;
pub mod copy;
mod engine;
pub mod instances;
mod log;
mod news;
pub mod partitions;
pub mod projects;
pub mod releases;
pub mod settings;
pub mod supplies;
pub mod tokens;
pub mod trees;
mod trouble;
pub mod users;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sqlx::migrate::MigrateError;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyPool, Transaction};

use crate::clock::Moment;
use crate::identity::ComputerId;
use crate::watch::Generations;

use audit::Note;
use engine::Engine;
pub use engine::{Location, LocationError, ServerUrl};
use log::Log;
pub use trouble::Trouble;

/// The engine's connection: what reading functions take.
pub type Connection = sqlx::AnyConnection;

/// What goes wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("failed to open the database `{database}`")]
    FailedOpen {
        database: Location,
        #[source]
        source: sqlx::Error,
    },
    #[error(
        "the database `{database}` was written by a newer version of this program: run that version, or restore a backup"
    )]
    Newer { database: Location },
    #[error("failed to bring the database `{database}` to this program's version")]
    FailedMigrate {
        database: Location,
        #[source]
        source: MigrateError,
    },
    #[error("failed to ask the database")]
    Database(#[from] sqlx::Error),
    #[error("failed to keep a change")]
    FailedCommit(#[source] sqlx::Error),
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
    engine: Engine,
    location: Location,
    readers: AnyPool,
    // One connection: writers queue here, not in the engine.
    writer: AnyPool,
    generations: Arc<Generations>,
    log: Option<Arc<Log>>,
}

impl Store {
    /// Opens the database, makes the file when there is none, and brings it to this version.
    pub async fn open(location: &Location) -> Result<Self, StoreError> {
        let engine = location.engine();
        let failed = |source| StoreError::FailedOpen {
            database: location.clone(),
            source,
        };
        let writer = engine.writer(location).await.map_err(failed)?;
        engine::migrate(&writer, location).await?;
        engine::guard_audit(engine, &writer).await?;
        let readers = engine.readers(location).await.map_err(failed)?;
        Ok(Self {
            engine,
            location: location.clone(),
            readers,
            writer,
            generations: Arc::new(Generations::default()),
            log: match location {
                Location::File(file) => Some(Arc::new(Log::of(file))),
                Location::Server(_) => None,
            },
        })
    }

    /// Returns a connection to read with.
    pub async fn read(&self) -> Result<PoolConnection<Any>, StoreError> {
        match self.readers.acquire().await {
            Ok(connection) => Ok(connection),
            Err(error) => Err(self.cause(error).await),
        }
    }

    /// Returns a connection that sees one moment of the database, whatever is written meanwhile.
    pub async fn snapshot(&self) -> Result<Transaction<'static, Any>, StoreError> {
        match self.readers.begin_with(self.engine.begin_to_read()).await {
            Ok(transaction) => Ok(transaction),
            Err(error) => Err(self.cause(error).await),
        }
    }

    /// Begins to write, as `actor`, who stands in the audit. Nothing is there for others before `commit`.
    ///
    /// There is one writer at a time, among all the masters of a database: what a transaction reads holds until it ends.
    pub async fn write(
        &self,
        actor: impl Into<String>,
        now: Moment,
    ) -> Result<Writing, StoreError> {
        let transaction = match self.engine.begin_to_write(&self.writer).await {
            Ok(transaction) => transaction,
            Err(error) => return Err(self.cause(error).await),
        };
        Ok(Writing {
            transaction,
            engine: self.engine,
            generations: Arc::clone(&self.generations),
            log: self.log.clone(),
            changed: BTreeMap::new(),
            retold: BTreeSet::new(),
            notes: Vec::new(),
            actor: actor.into(),
            now,
        })
    }

    /// A pool that cannot connect says that time ran out, and not why: whoever reads the log wants to know.
    async fn cause(&self, error: sqlx::Error) -> StoreError {
        if !matches!(error, sqlx::Error::PoolTimedOut) {
            return error.into();
        }
        match self.engine.connect_once(&self.location).await {
            Err(cause) => cause.into(),
            // It can be reached: too many wait for it.
            Ok(()) => error.into(),
        }
    }

    /// Asks the database for nothing, to see that it answers.
    pub async fn is_alive(&self) -> Result<(), StoreError> {
        let mut db = self.read().await?;
        sqlx::query("SELECT 1").execute(&mut *db).await?;
        Ok(())
    }

    /// Says whether the database is a server's: other masters may have it too, and it comes and goes by itself.
    pub fn is_shared(&self) -> bool {
        self.engine == Engine::Postgres
    }

    /// Returns who waits for changes.
    pub fn generations(&self) -> &Generations {
        &self.generations
    }

    /// Closes every connection: of SQLite, the file alone then holds everything.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// One transaction that writes. Dropped without `commit`, it never was.
#[derive(Debug)]
pub struct Writing {
    transaction: Transaction<'static, Any>,
    engine: Engine,
    generations: Arc<Generations>,
    log: Option<Arc<Log>>,
    changed: BTreeMap<ComputerId, u64>,
    // Those whose version moved and whose generation did not.
    retold: BTreeSet<ComputerId>,
    notes: Vec<Note>,
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
    pub async fn commit(mut self) -> Result<(), StoreError> {
        self.write_notes().await?;
        if self.engine == Engine::Postgres {
            news::tell(&mut self.transaction, &self.changed).await?;
        }
        self.transaction
            .commit()
            .await
            .map_err(StoreError::FailedCommit)?;
        if let Some(log) = &self.log {
            let synced = log.sync().await;
            synced.map_err(|err| StoreError::FailedCommit(sqlx::Error::Io(err)))?;
        }
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
