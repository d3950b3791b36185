//! What may still be written to a disk that others need too.

use std::io;

use camino::Utf8Path;
use nix::sys::statvfs::statvfs;

/// What stays free: for logs, and for those who must still write when a disk is nearly full.
const RESERVE: u64 = 256 * 1024 * 1024;
/// More files than any release has.
const MOST_ENTRIES: u64 = 2_000_000;

/// What may still be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    bytes: u64,
    entries: u64,
}

impl Budget {
    /// Takes what the disk of this folder has, less a reserve.
    pub(super) fn of_disk(folder: &Utf8Path) -> io::Result<Self> {
        let disk = statvfs(folder.as_std_path())?;
        let free = disk.blocks_available() * disk.fragment_size();
        let free_entries = match disk.files() {
            // A file system that makes them as it goes.
            0 => MOST_ENTRIES,
            _ => disk.files_available() / 2,
        };
        Ok(Self::new(
            free.saturating_sub(RESERVE),
            free_entries.min(MOST_ENTRIES),
        ))
    }

    pub(super) fn new(bytes: u64, entries: u64) -> Self {
        Self { bytes, entries }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn take_bytes(&mut self, count: u64) -> io::Result<()> {
        self.bytes = self.bytes.checked_sub(count).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::StorageFull,
                "there is not enough space on the disk for it",
            )
        })?;
        Ok(())
    }

    pub(super) fn take_entry(&mut self) -> io::Result<()> {
        self.entries = self.entries.checked_sub(1).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::StorageFull,
                "it has more files than the disk has room for",
            )
        })?;
        Ok(())
    }
}
