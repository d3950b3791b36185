//! Backups: everything that makes this master that master, in one file, made while it runs; and a master made of such a file again.
//! Neither leaves anything half done: what is in the making has a name of its own, beside what it becomes.

mod archive;
mod dump;
mod make;
mod restore;
mod staging;

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::ca::CaError;
use crate::store::{LocationError, StoreError};

pub use make::{Made, Make, make};
pub use restore::{Restore, Restored, restore};

/// Why there is no backup, or no master of one.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("there is no master in `{0}`")]
    NoMaster(Utf8PathBuf),
    #[error("failed to read `{path}`")]
    FailedRead {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to write `{path}`")]
    FailedWrite {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{0}` is no name of a file")]
    NoFileName(Utf8PathBuf),
    #[error(
        "`{path}` is not what the database says: the release was replaced, or the disk lost it"
    )]
    Changed { path: Utf8PathBuf },
    #[error("the CA in `{folder}` is not the one that the database belongs to")]
    OtherAuthority { folder: Utf8PathBuf },
    #[error("`{file}` is no backup of a master: {reason}")]
    NoBackup { file: Utf8PathBuf, reason: String },
    #[error("`{0}` is a backup of a newer version of this program: restore it with that version")]
    Newer(Utf8PathBuf),
    #[error(
        "`{0}` is a backup of a database on a PostgreSQL server: say which is to have it by `--database`"
    )]
    NeedsServer(Utf8PathBuf),
    #[error("`{0}` is a backup of a database in a file: it goes into no PostgreSQL server")]
    NeedsFile(Utf8PathBuf),
    #[error("`{0}` is not empty: `--replace` puts what is there aside")]
    NotEmpty(Utf8PathBuf),
    #[error("the database `{0}` is not empty: `--replace` replaces what is in it")]
    DatabaseNotEmpty(String),
    #[error("a master runs with the database `{0}`: stop it first")]
    InUse(String),
    #[error(
        "PostgreSQL's program `{0}` is not installed: Debian has it in the package postgresql-client"
    )]
    NoProgram(&'static str),
    #[error("PostgreSQL's program `{program}` failed: {said}")]
    ProgramFailed { program: &'static str, said: String },
    #[error("the CA cannot be used")]
    Ca(#[from] CaError),
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
    #[error("the database cannot be there")]
    BadDatabase(#[from] LocationError),
    #[error("it was interrupted")]
    Interrupted,
}

fn failed_read(path: &Utf8Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    |source| BackupError::FailedRead { path, source }
}

fn failed_write(path: &Utf8Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    |source| BackupError::FailedWrite { path, source }
}
