//! What SQLite and PostgreSQL do differently: how they are reached, how a transaction begins, how there is one writer at a time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Any, AnyPool, ConnectOptions as _, Connection as _, Transaction};

use super::{Connection, StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// How long a request waits for a connection: less than its client waits for the answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one attempt to connect may take that only asks why others fail.
const ONE_CALL: Duration = Duration::from_secs(2);
/// How many requests read at once.
const READERS: u32 = 4;

/// The lock that a PostgreSQL server gives to one writing master at a time. Any number would do; all masters have this one.
const WRITERS: &str = "SELECT pg_advisory_xact_lock(8101114951)";

/// WAL lets readers read while somebody writes. A commit does not wait for the disk: `log` does, for all who wait at once.
/// Each connection has a cache of its own, half a megabyte; the kernel keeps the rest of the file for all of them.
const SQLITE_SETUP: &str =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 10000;
     PRAGMA cache_size = -512";
/// A master that hangs must not hold the others up for ever.
const POSTGRES_SETUP: &str =
    "SET idle_in_transaction_session_timeout = '30s'; SET statement_timeout = '30s'";

/// Where the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A file of SQLite's.
    File(Utf8PathBuf),
    /// A database of a PostgreSQL server, which several masters may share.
    Server(ServerUrl),
}

/// `postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE`. The password is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(String);

/// A text that says no database's place.
#[derive(Debug, thiserror::Error)]
#[error("this is no database's URL: it must be `postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE`")]
pub struct LocationError;

/// Which engine keeps the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Sqlite,
    Postgres,
}

impl Location {
    pub(super) fn engine(&self) -> Engine {
        match self {
            Self::File(_) => Engine::Sqlite,
            Self::Server(_) => Engine::Postgres,
        }
    }

    pub(super) fn options(&self, mode: &str) -> Result<AnyConnectOptions, sqlx::Error> {
        match self {
            Self::File(path) => format!("sqlite://{}?mode={mode}", encoded(path)).parse(),
            Self::Server(url) => url.0.parse(),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{path}"),
            Self::Server(url) => write!(f, "{url}"),
        }
    }
}

impl ServerUrl {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServerUrl {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let right = ["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| text.starts_with(scheme))
            && text.parse::<AnyConnectOptions>().is_ok();
        if right {
            Ok(Self(text.to_owned()))
        } else {
            Err(LocationError)
        }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What follows `?` may hold a password too.
        let shown = self.0.split('?').next().unwrap_or_default();
        let (scheme, rest) = shown.split_once("://").unwrap_or(("postgres", shown));
        match rest.rsplit_once('@') {
            Some((who, place)) => {
                let user = who.split(':').next().unwrap_or_default();
                write!(f, "{scheme}://{user}@{place}")
            }
            None => write!(f, "{scheme}://{rest}"),
        }
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({self})")
    }
}

impl Engine {
    /// Returns the one connection that writes.
    pub(super) async fn writer(self, location: &Location) -> Result<AnyPool, sqlx::Error> {
        self.pool(1, self.setup().to_owned(), location.options("rwc")?)
            .await
    }

    /// Returns the connections that read, and cannot write.
    pub(super) async fn readers(self, location: &Location) -> Result<AnyPool, sqlx::Error> {
        let setup = match self {
            Self::Sqlite => self.setup().to_owned(),
            Self::Postgres => format!("{}; SET default_transaction_read_only = on", self.setup()),
        };
        self.pool(READERS, setup, location.options("ro")?).await
    }

    async fn pool(
        self,
        connections: u32,
        setup: String,
        options: AnyConnectOptions,
    ) -> Result<AnyPool, sqlx::Error> {
        sqlx::any::install_default_drivers();
        // Whoever needs to know what was asked has the audit. Looking whether somebody wants to read it costs at every statement.
        let options = options.disable_statement_logging();
        // A pool would try again until its patience ends: what is wrong at the start is said at the start.
        let mut first = options.connect().await?;
        set_up(&mut first, &setup).await?;
        first.close().await?;
        AnyPoolOptions::new()
            .max_connections(connections)
            .min_connections(1)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            // SQLite ends a transaction by itself when its disk is full; sqlx goes on believing in it, and would begin no other.
            .before_acquire(|connection, _| {
                let is_clean = !connection.is_in_transaction();
                Box::pin(async move { Ok(is_clean) })
            })
            // A server may have gone; a file has not, and asking costs as much as most questions.
            .test_before_acquire(self == Self::Postgres)
            .after_connect(move |connection, _| {
                let setup = setup.clone();
                Box::pin(async move { set_up(connection, &setup).await })
            })
            .connect_with(options)
            .await
    }

    /// Connects, to see why the pool cannot.
    pub(super) async fn connect_once(self, location: &Location) -> Result<(), sqlx::Error> {
        let options = location.options("ro")?;
        let connecting = async {
            let mut connection = options.connect().await?;
            set_up(&mut connection, self.setup()).await?;
            connection.close().await
        };
        match tokio::time::timeout(ONE_CALL, connecting).await {
            Ok(ended) => ended,
            Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
        }
    }

    fn setup(self) -> &'static str {
        match self {
            Self::Sqlite => SQLITE_SETUP,
            Self::Postgres => POSTGRES_SETUP,
        }
    }

    pub(super) fn begin_to_read(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN",
            Self::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }

    pub(super) async fn begin_to_write(
        self,
        writer: &AnyPool,
    ) -> Result<Transaction<'static, Any>, sqlx::Error> {
        match self {
            Self::Sqlite => writer.begin_with("BEGIN IMMEDIATE").await,
            Self::Postgres => {
                let mut transaction = writer.begin_with("BEGIN").await?;
                sqlx::query(WRITERS).execute(&mut *transaction).await?;
                Ok(transaction)
            }
        }
    }
}

async fn set_up(connection: &mut Connection, setup: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(setup.to_owned()))
        .execute(connection)
        .await
        .map(drop)
}

/// Brings the database to this program's version.
pub(super) async fn migrate(pool: &AnyPool, location: &Location) -> Result<(), StoreError> {
    let database = location.clone();
    match MIGRATIONS.run(pool).await {
        Ok(()) => Ok(()),
        // The database has a migration that this program has not.
        Err(MigrateError::VersionMissing(_)) => Err(StoreError::Newer { database }),
        Err(source) => Err(StoreError::FailedMigrate { database, source }),
    }
}

/// Has the engine refuse to change what was ever added to the audit.
pub(super) async fn guard_audit(engine: Engine, writer: &AnyPool) -> Result<(), sqlx::Error> {
    let guard = match engine {
        Engine::Sqlite => {
            "CREATE TRIGGER IF NOT EXISTS audit_is_not_changed BEFORE UPDATE ON audit
                 BEGIN SELECT RAISE(ABORT, 'the audit is only ever added to'); END;
             CREATE TRIGGER IF NOT EXISTS audit_is_not_removed BEFORE DELETE ON audit
                 BEGIN SELECT RAISE(ABORT, 'the audit is only ever added to'); END"
        }
        Engine::Postgres => {
            "CREATE OR REPLACE FUNCTION refuse_to_change_the_audit() RETURNS trigger LANGUAGE plpgsql
                 AS $$ BEGIN RAISE EXCEPTION 'the audit is only ever added to'; END $$;
             CREATE OR REPLACE TRIGGER audit_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
                 FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_the_audit()"
        }
    };
    // Masters that start at once wait for each other.
    let mut transaction = engine.begin_to_write(writer).await?;
    sqlx::raw_sql(guard).execute(&mut *transaction).await?;
    transaction.commit().await
}

/// Returns the number of the newest migration that this program has.
pub(super) fn newest_migration() -> i64 {
    MIGRATIONS.iter().map(|it| it.version).max().unwrap_or(0)
}

/// Returns a path as a URL carries it.
fn encoded(path: &Utf8Path) -> String {
    path.as_str()
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (text, shown) in [
            ("postgres://ann:s3cret@h:1/db", "postgres://ann@h:1/db"),
            ("postgresql://h/db?password=s3cret", "postgresql://h/db"),
            (
                "postgres://ann:p%40ss@h/db?host=/run",
                "postgres://ann@h/db",
            ),
        ] {
            let url: ServerUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("ServerUrl({shown})"));
        }
    }

    #[test]
    fn another_place_is_refused() {
        for text in [
            "",
            "mysql://h/db",
            "/var/lib/x.sqlite",
            "postgres://h:port/db",
        ] {
            assert!(text.parse::<ServerUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn any_path_is_a_url() {
        assert_eq!(
            encoded("/a b/c?d#é.sqlite".into()),
            "/a%20b/c%3Fd%23%C3%A9.sqlite"
        );
    }
}
