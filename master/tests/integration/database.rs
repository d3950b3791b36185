//! A database for one test: a file, or one of the PostgreSQL server that `SLAPBOX_TEST_POSTGRES` names. It is gone when the test is.

use camino::Utf8PathBuf;
use slapbox_master::store::Location;
use sqlx::{Connection as _, Executor as _, PgConnection};

/// Names a database of the server in which databases may be made.
pub(crate) const SERVER: &str = "SLAPBOX_TEST_POSTGRES";

pub(crate) struct Database {
    /// What `--database` is given.
    pub(crate) url: Option<String>,
    name: String,
}

impl Database {
    pub(crate) async fn new() -> Self {
        let Ok(server) = std::env::var(SERVER) else {
            let (url, name) = (None, String::new());
            return Self { url, name };
        };
        let random = tempfile::Builder::new().prefix("").tempdir().unwrap();
        let name = format!(
            "test_{}",
            random
                .path()
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .to_lowercase()
        );
        let mut connection = PgConnection::connect(&server).await.unwrap();
        let make = format!("CREATE DATABASE {name} TEMPLATE template0 LC_COLLATE 'C'");
        connection
            .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(make)))
            .await
            .unwrap();
        let (before, options) = server.split_once('?').unwrap_or((&server, ""));
        let (place, _) = before.rsplit_once('/').unwrap();
        Self {
            url: Some(format!("{place}/{name}?{options}")),
            name,
        }
    }

    /// The same database, for another master. It goes with the first.
    pub(crate) fn shared(&self) -> Self {
        Self {
            url: self.url.clone(),
            name: String::new(),
        }
    }

    pub(crate) fn location(&self, data: &camino::Utf8Path) -> Location {
        slapbox_master::config::database_of(data, self.url.as_deref()).unwrap()
    }

    pub(crate) fn is_file(&self) -> bool {
        self.url.is_none()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.name.is_empty() {
            return;
        }
        let forget = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        // This thread runs a runtime already, and one cannot be waited for inside another.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut connection = PgConnection::connect(&std::env::var(SERVER).unwrap())
                    .await
                    .unwrap();
                connection
                    .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(forget)))
                    .await
                    .unwrap();
            });
        });
        if dropping.join().is_err() && !std::thread::panicking() {
            panic!("the test's database cannot be dropped");
        }
    }
}

/// A folder for a master's data. In memory where that can be: the disk is not what is tested, and syncing it is most of the time.
pub(crate) fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path)
}
