//! Files that several releases have, once on the disk: larger ones are kept under their content's digest, owner, mode and
//! time, and each release has a hard link to them. Releases are never written to, so that nobody notices.
//!
//! A file comes in only when its release is safe on the disk, so that a power cut leaves none that is not what its name
//! says; it goes with the last release that has it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstat, fstatat};
use nix::unistd::{LinkatFlags, linkat};

/// The folder of what is shared, beside the releases.
const FOLDER: &str = ".content";
/// The folder of what a release under construction will share, in it.
const FRESH: &str = "fresh";
/// Smaller files cost more to look up than they take.
const SMALLEST: u64 = 4096;

/// What is shared, and what a release under construction will share.
#[derive(Debug)]
pub(super) struct Store {
    path: Utf8PathBuf,
    /// Nothing before the first release.
    shared: Option<OwnedFd>,
    fresh_path: Utf8PathBuf,
    fresh: OwnedFd,
}

impl Store {
    /// Opens what the folder of all releases shares, for one that is made in `building`.
    pub(super) fn open(software: &Utf8Path, building: &Utf8Path) -> io::Result<Self> {
        let path = software.join(FOLDER);
        let fresh_path = building.join(FRESH);
        fs::DirBuilder::new().mode(0o700).create(&fresh_path)?;
        let shared = match folder(&path) {
            Err(Errno::ENOENT) => None,
            opened => Some(opened?),
        };
        Ok(Self {
            shared,
            fresh: folder(&fresh_path)?,
            path,
            fresh_path,
        })
    }

    /// Says whether a file of this size is shared at all.
    pub(super) fn takes(size: u64) -> bool {
        size >= SMALLEST
    }

    /// Puts a shared file in the place of a finished one that is the same, or notes that one.
    pub(super) fn share(
        &self,
        folder: &OwnedFd,
        name: &Path,
        file: impl AsFd,
        digest: &[u8],
    ) -> io::Result<()> {
        let stat = fstat(file)?;
        let mut key: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let (uid, gid, mode) = (stat.st_uid, stat.st_gid, stat.st_mode & 0o7777);
        key.push_str(&format!("-{uid}-{gid}-{mode:o}-{}", stat.st_mtime));
        let nowhere = LinkatFlags::empty();
        for from in self.shared.iter().chain([&self.fresh]) {
            let there = fstatat(from, key.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
            if there.is_ok_and(|there| there.st_size == stat.st_size) {
                return match linkat(from, key.as_str(), &self.fresh, NEXT, nowhere) {
                    // A file has only so many names: one more copy has to be.
                    Err(Errno::EMLINK) => Ok(()),
                    linked => {
                        linked?;
                        Ok(renameat(&self.fresh, NEXT, folder, name)?)
                    }
                };
            }
        }
        Ok(linkat(folder, name, &self.fresh, key.as_str(), nowhere)?)
    }

    /// Shares the new files of a release that is safe on the disk.
    pub(super) fn keep(self) -> io::Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let shared = folder(&self.path)?;
        for entry in fs::read_dir(&self.fresh_path)? {
            let name = entry?.file_name();
            renameat(&self.fresh, name.as_os_str(), &shared, name.as_os_str())?;
        }
        fs::remove_dir(&self.fresh_path)
    }
}

/// The name of a link on its way to its place.
const NEXT: &str = "next";

/// Removes what no release has any more.
pub(super) fn sweep(software: &Utf8Path) -> io::Result<()> {
    let path = software.join(FOLDER);
    let entries = match fs::read_dir(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut left = false;
    for entry in entries {
        let entry = entry?;
        if entry.metadata()?.nlink() > 1 {
            left = true;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    if left { Ok(()) } else { fs::remove_dir(path) }
}

fn folder(path: &Utf8Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(AT_FDCWD, path.as_std_path(), flags, Mode::empty())
}
