//! The folder in which something is made, beside what it becomes: hidden, this user's alone, and gone when the making ends.
//! One that a kill left is removed by whoever makes the same thing again; a lock tells it from one in use.

use std::fs::File;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use super::{BackupError, failed_write};

/// A folder that goes when it is dropped.
#[derive(Debug)]
pub(super) struct Staging {
    folder: TempDir,
    _lock: File,
}

impl Staging {
    /// Makes a folder beside `path`.
    pub(super) fn beside(path: &Utf8Path) -> Result<Self, BackupError> {
        let name = path
            .file_name()
            .ok_or_else(|| BackupError::NoFileName(path.to_owned()))?;
        let parent = parent(path);
        let prefix = format!(".{name}.unfinished-");
        let make = || -> io::Result<Self> {
            remove_leftovers(parent, &prefix)?;
            let folder = tempfile::Builder::new()
                .prefix(&prefix)
                .tempdir_in(parent)?;
            let lock = File::open(folder.path())?;
            flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
            Ok(Self {
                folder,
                _lock: lock,
            })
        };
        make().map_err(failed_write(parent))
    }

    /// Returns where something in it is.
    pub(super) fn join(&self, name: &str) -> Utf8PathBuf {
        // Its parent and its prefix are text, and so is what is added to them.
        let folder = Utf8Path::from_path(self.folder.path());
        folder.expect("a path made of texts").join(name)
    }
}

/// Returns the folder that something is in.
pub(super) fn parent(path: &Utf8Path) -> &Utf8Path {
    match path.parent() {
        Some(parent) if !parent.as_str().is_empty() => parent,
        Some(_) | None => Utf8Path::new("."),
    }
}

/// Has the disk keep what a folder lists.
pub(super) fn sync_folder(folder: &Utf8Path) -> Result<(), BackupError> {
    let sync = || File::open(folder)?.sync_all();
    sync().map_err(failed_write(folder))
}

fn remove_leftovers(parent: &Utf8Path, prefix: &str) -> io::Result<()> {
    for entry in parent.read_dir_utf8()? {
        let entry = entry?;
        if !entry.file_name().starts_with(prefix) {
            continue;
        }
        let folder = File::open(entry.path())?;
        if flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
