//! Begins a folder of a partition with a copy of a folder of a release: whole, or not at all.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, fchown, fchownat, symlinkat};

use super::{Inside, if_there, remove_folder};
use crate::partitions::users::Ids;

/// Deeper trees than any image has would need more descriptors than we may have.
const DEEPEST: usize = 128;
const UNFINISHED: &str = ".slapbox-unfinished";

impl Inside {
    /// Copies `from`, which nobody but root may alter, to the folder `path`, unless it is there; the one above it must be.
    /// Each file's owner is what `owner` makes of it. Only files, folders and links are copied.
    pub fn seed(&self, path: &str, from: &OwnedFd, owner: impl Fn(Ids) -> Ids) -> io::Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        if if_there(self.at(path, flags))?.is_some() {
            return Ok(());
        }
        let (folder, name) = self.parent(path)?;
        match remove_folder(&folder, Path::new(UNFINISHED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let to = make(&folder, Path::new(UNFINISHED))?;
        copy(from, &to, &owner, 0)?;
        give(&to, &fstat(from)?, &owner)?;
        Ok(renameat(&folder, UNFINISHED, &folder, name)?)
    }
}

fn copy(from: &OwnedFd, to: &OwnedFd, owner: &impl Fn(Ids) -> Ids, depth: usize) -> io::Result<()> {
    if depth == DEEPEST {
        return Err(io::Error::other("its folders are too deep"));
    }
    // A descriptor of its own, so that reading starts at the beginning.
    let here = openat(
        from,
        ".",
        OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    for entry in Dir::from_fd(here)?.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = fstatat(from, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        let path = Path::new(OsStr::from_bytes(name.to_bytes()));
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        if kind == SFlag::S_IFDIR {
            let folder = openat(from, path, flags | OFlag::O_DIRECTORY, Mode::empty())?;
            let made = make(to, path)?;
            copy(&folder, &made, owner, depth + 1)?;
            give(&made, &stat, owner)?;
        } else if kind == SFlag::S_IFREG {
            let mut file = File::from(openat(from, path, flags, Mode::empty())?);
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
            let made = openat(to, path, flags | OFlag::O_CLOEXEC, Mode::S_IRUSR)?;
            io::copy(&mut file, &mut File::from(made.try_clone()?))?;
            give(&made, &stat, owner)?;
        } else if kind == SFlag::S_IFLNK {
            symlinkat(readlinkat(from, path)?.as_os_str(), to, path)?;
            let (uid, gid) = owned(&stat, owner);
            fchownat(to, path, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        }
    }
    Ok(())
}

fn make(folder: &OwnedFd, name: &Path) -> io::Result<OwnedFd> {
    mkdirat(folder, name, Mode::S_IRWXU)?;
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(folder, name, flags, Mode::empty())?)
}

fn give(made: &OwnedFd, like: &FileStat, owner: &impl Fn(Ids) -> Ids) -> io::Result<()> {
    let (uid, gid) = owned(like, owner);
    fchown(made, Some(uid), Some(gid))?;
    Ok(fchmod(
        made,
        Mode::from_bits_truncate(like.st_mode & 0o1777),
    )?)
}

fn owned(like: &FileStat, owner: &impl Fn(Ids) -> Ids) -> (Uid, Gid) {
    let Ids { uid, gid } = owner(Ids {
        uid: like.st_uid,
        gid: like.st_gid,
    });
    (Uid::from_raw(uid), Gid::from_raw(gid))
}
