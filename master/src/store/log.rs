//! SQLite's log on the disk. A commit writes it and does not wait for the disk; whoever is to be answered waits here, and one look at
//! the disk serves all who committed before it. Nothing is acknowledged that a power cut could take.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use camino::Utf8Path;
use tokio::sync::Mutex;

/// The log beside a database.
#[derive(Debug)]
pub(super) struct Log {
    database: PathBuf,
    log: PathBuf,
    committed: AtomicU64,
    /// How many commits are on the disk. Held by whoever waits for it.
    synced: Mutex<u64>,
}

impl Log {
    pub(super) fn of(database: &Utf8Path) -> Self {
        Self {
            database: database.into(),
            log: format!("{database}-wal").into(),
            committed: AtomicU64::new(0),
            synced: Mutex::new(0),
        }
    }

    /// Returns when what this caller has just committed is on the disk.
    pub(super) async fn sync(&self) -> io::Result<()> {
        let own = self.committed.fetch_add(1, Ordering::SeqCst) + 1;
        let mut synced = self.synced.lock().await;
        if *synced >= own {
            return Ok(());
        }
        let all = self.committed.load(Ordering::SeqCst);
        let (log, database) = (self.log.clone(), self.database.clone());
        tokio::task::spawn_blocking(move || sync_one_of(&log, &database))
            .await
            .map_err(io::Error::other)??;
        *synced = all;
        Ok(())
    }
}

/// Where a file system cannot hold a log, SQLite keeps none, and the database itself has everything.
fn sync_one_of(log: &Path, database: &Path) -> io::Result<()> {
    match File::open(log) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => File::open(database)?.sync_data(),
        opened => opened?.sync_data(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_commit_is_waited_for_and_none_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("db");
        let log = Log::of(&path);
        log.sync().await.unwrap_err();
        assert_eq!(*log.synced.lock().await, 0);
        File::create(&path).unwrap();
        let (first, second) = tokio::join!(log.sync(), log.sync());
        first.and(second).unwrap();
        assert_eq!(*log.synced.lock().await, 3);
    }
}
