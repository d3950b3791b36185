//! Files inside a partition, whose user may alter anything there at any moment.
//!
//! Root works here by descriptors below the partition's directory only: never by path, never through a link, never on
//! another file system, never without a limit.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, SystemTime};

use camino::Utf8Path;
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat2, readlinkat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, symlinkat, unlinkat};
use serde::{Deserialize, Serialize};

use crate::partitions::users::Ids;

mod seal;
mod seed;
mod wipe;

pub(crate) use wipe::{remove_folder, wipe as empty_folder};

/// The directory of a partition, held open.
#[derive(Debug)]
pub struct Inside {
    root: OwnedFd,
}

/// What an entry of a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Link,
    Folder,
    Other,
}

/// What tells a file from another that had its name before, or from itself as it was before it was altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    inode: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Mark {
    /// When it was written last; what lies before 1970 counts as that.
    pub fn modified(&self) -> SystemTime {
        let seconds = u64::try_from(self.seconds).unwrap_or_default();
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn of(stat: &FileStat) -> Self {
        Self {
            inode: stat.st_ino,
            seconds: stat.st_mtime,
            nanoseconds: stat.st_mtime_nsec,
        }
    }
}

/// Whose a file or folder shall be, and who may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
}

impl Ownership {
    /// The partition's own, for nobody else.
    pub fn of_partition(ids: Ids, mode: u32) -> Self {
        Self {
            uid: ids.uid,
            gid: ids.gid,
            mode,
        }
    }

    /// Root's.
    pub fn of_root(mode: u32) -> Self {
        Self {
            uid: 0,
            gid: 0,
            mode,
        }
    }

    /// Root's, and the partition may read it.
    pub fn readable_by(ids: Ids, mode: u32) -> Self {
        Self {
            uid: 0,
            gid: ids.gid,
            mode,
        }
    }
}

/// The most entries of a directory that are looked at.
const MOST_ENTRIES: usize = 1000;

impl Inside {
    /// Opens a partition's directory; the folders above it are root's.
    pub fn open(path: &Utf8Path) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let root = nix::fcntl::openat(AT_FDCWD, path.as_str(), flags, Mode::empty())?;
        Ok(Self { root })
    }

    /// Opens a partition's directory, if it is there.
    pub fn open_if_there(path: &Utf8Path) -> io::Result<Option<Self>> {
        if_there(Self::open(path))
    }

    /// Returns whether something is mounted here: the folder above is on another mount.
    pub fn is_mount_point(&self) -> io::Result<bool> {
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_NO_XDEV);
        match openat2(&self.root, "..", how) {
            Ok(_) => Ok(false),
            Err(Errno::EXDEV) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a folder, so that one works in there only; nothing if there is none.
    pub fn inner(&self, path: &str) -> io::Result<Option<Self>> {
        if_there(self.open_folder(path).map(|root| Self { root }))
    }

    /// Returns whose the directory is.
    pub fn ownership(&self) -> io::Result<Ownership> {
        ownership(&self.root)
    }

    /// Gives the directory itself to `wanted`; returns whether it had to.
    pub fn own(&self, wanted: Ownership) -> io::Result<bool> {
        if self.ownership()? == wanted {
            return Ok(false);
        }
        give(&self.root, wanted)?;
        Ok(true)
    }

    /// Returns a regular file's content; nothing if there is none. A longer file is an error, and so is anything
    /// that is no regular file.
    pub fn read(&self, path: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        Ok(self.read_owned(path, limit)?.map(|(content, _)| content))
    }

    /// Returns a regular file's content and whose it is.
    pub fn read_owned(&self, path: &str, limit: u64) -> io::Result<Option<(Vec<u8>, Ownership)>> {
        let Some(file) = if_there(self.open_regular(path))? else {
            return Ok(None);
        };
        let ownership = ownership(&file)?;
        Ok(Some((read_within(file, path, limit)?, ownership)))
    }

    /// Returns a regular file's content and its mark, as [`Inside::read`] does.
    pub fn read_marked(&self, path: &str, limit: u64) -> io::Result<Option<(Vec<u8>, Mark)>> {
        let Some(file) = if_there(self.open_regular(path))? else {
            return Ok(None);
        };
        // Before it is read: what is altered meanwhile is another file.
        let mark = Mark::of(&fstat(&file)?);
        Ok(Some((read_within(file, path, limit)?, mark)))
    }

    /// Returns the mark of a file or link; nothing if there is none.
    pub fn mark(&self, path: &str) -> io::Result<Option<Mark>> {
        let look = || {
            let (folder, name) = self.parent(path)?;
            Ok(fstatat(&folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?)
        };
        Ok(if_there(look())?.as_ref().map(Mark::of))
    }

    /// Returns the beginning of a regular file.
    pub fn read_start(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let file = self.open_regular(path)?;
        let mut content = Vec::new();
        File::from(file).take(limit).read_to_end(&mut content)?;
        Ok(content)
    }

    /// Returns whether nothing is there but a file of this name.
    pub fn holds_only(&self, name: &str) -> io::Result<bool> {
        let fd = self.at(".", OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        for entry in Dir::from_fd(fd)?.iter() {
            let entry = entry?;
            let found = entry.file_name().to_bytes();
            if found != b"." && found != b".." && found != name.as_bytes() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns the text that a link consists of.
    pub fn read_link(&self, folder: &str, name: &str) -> io::Result<Vec<u8>> {
        let folder = self.at(folder, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        let target = readlinkat(&folder, name)?;
        Ok(target.into_encoded_bytes())
    }

    /// Returns the entries of a folder, in order; none if it is not there. Names that are no text are passed over.
    pub fn list(&self, folder: &str) -> io::Result<Vec<(String, Kind)>> {
        let Some(fd) = if_there(self.at(folder, OFlag::O_RDONLY | OFlag::O_DIRECTORY))? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for entry in Dir::from_fd(fd)?.iter() {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if name == "." || name == ".." {
                continue;
            }
            if found.len() == MOST_ENTRIES {
                return Err(invalid(format!(
                    "`{folder}` has more than {MOST_ENTRIES} entries"
                )));
            }
            found.push((name.to_owned(), kind(entry.file_type())));
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found)
    }

    /// Replaces a file whole. Not synced: see [`Inside::sync`].
    pub fn replace(&self, path: &str, content: &[u8], wanted: Ownership) -> io::Result<()> {
        let (folder, name) = self.parent(path)?;
        let temporary = format!(".{name}.slapbox-new");
        unlink_if_there(&folder, &temporary)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let file = open_below(&folder, &temporary, flags, Mode::from_bits_truncate(0o600))?;
        let mut file = File::from(file);
        file.write_all(content)?;
        give(file.as_fd(), wanted)?;
        match renameat(&folder, temporary.as_str(), &folder, name) {
            Err(Errno::EISDIR) => {
                remove_folder(&folder, std::path::Path::new(name))?;
                renameat(&folder, temporary.as_str(), &folder, name)?;
            }
            other => other?,
        }
        Ok(())
    }

    /// Makes a link of the partition's own, or has it lead elsewhere.
    pub fn link(&self, path: &str, target: &str, ids: Ids) -> io::Result<()> {
        let (folder, name) = self.parent(path)?;
        let temporary = format!(".{name}.slapbox-new");
        unlink_if_there(&folder, &temporary)?;
        symlinkat(target, &folder, temporary.as_str())?;
        let (uid, gid) = (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid));
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
        fchownat(&folder, temporary.as_str(), Some(uid), Some(gid), flags)?;
        match renameat(&folder, temporary.as_str(), &folder, name) {
            // A folder that the partition has there instead is its own affair.
            Err(Errno::EISDIR) => unlink_if_there(&folder, &temporary),
            other => Ok(other?),
        }
    }

    /// Opens a folder.
    pub fn open_folder(&self, path: &str) -> io::Result<OwnedFd> {
        self.at(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)
    }

    /// Makes a folder, if it is not there; the one above it must be.
    pub fn folder(&self, path: &str, wanted: Ownership) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        match mkdirat(&parent, name, Mode::S_IRWXU) {
            Err(Errno::EEXIST) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(()) => {
                let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
                give(open_below(&parent, name, flags, Mode::empty())?, wanted)
            }
        }
    }

    /// Removes a folder with everything in it; one that is not there is removed already.
    pub fn remove_folder(&self, path: &str) -> io::Result<()> {
        let removed = self
            .parent(path)
            .and_then(|(folder, name)| remove_folder(&folder, std::path::Path::new(name)));
        if_there(removed).map(drop)
    }

    /// Removes a file; one that is not there is removed already.
    pub fn remove(&self, path: &str) -> io::Result<()> {
        match self.parent(path) {
            Ok((folder, name)) => unlink_if_there(&folder, name),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes what was written to the disk.
    pub fn sync(&self) -> io::Result<()> {
        nix::unistd::syncfs(&self.root)?;
        Ok(())
    }

    /// Removes everything in the directory.
    pub fn wipe(&self) -> io::Result<()> {
        empty_folder(&self.root)
    }

    fn at(&self, path: &str, flags: OFlag) -> io::Result<OwnedFd> {
        open_below(&self.root, path, flags, Mode::empty())
    }

    fn open_regular(&self, path: &str) -> io::Result<OwnedFd> {
        // O_NONBLOCK: opening a pipe must not wait for its writer.
        let file = self.at(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?;
        let stat = fstat(&file)?;
        if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG {
            return Ok(file);
        }
        Err(invalid(format!("`{path}` is not a regular file")))
    }

    fn parent<'a>(&self, path: &'a str) -> io::Result<(OwnedFd, &'a str)> {
        let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
        let folder = self.at(folder, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        Ok((folder, name))
    }
}

fn open_below(folder: &OwnedFd, path: &str, flags: OFlag, mode: Mode) -> io::Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_BENEATH
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_NO_MAGICLINKS
        | ResolveFlag::RESOLVE_NO_XDEV;
    let how = OpenHow::new()
        .flags(flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
        .mode(mode)
        .resolve(resolve);
    Ok(openat2(folder, path, how)?)
}

fn read_within(file: OwnedFd, path: &str, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::from(file).take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(invalid(format!("`{path}` is longer than {limit} bytes")));
    }
    Ok(content)
}

fn ownership(fd: impl std::os::fd::AsFd) -> io::Result<Ownership> {
    let stat = fstat(fd)?;
    Ok(Ownership {
        uid: stat.st_uid,
        gid: stat.st_gid,
        mode: stat.st_mode & 0o7777,
    })
}

fn give(fd: impl std::os::fd::AsFd, wanted: Ownership) -> io::Result<()> {
    let fd = fd.as_fd();
    let (uid, gid) = (Uid::from_raw(wanted.uid), Gid::from_raw(wanted.gid));
    fchown(fd, Some(uid), Some(gid))?;
    fchmod(fd, Mode::from_bits_truncate(wanted.mode))?;
    Ok(())
}

fn unlink_if_there(folder: &OwnedFd, name: &str) -> io::Result<()> {
    match unlinkat(folder, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn kind(kind: Option<Type>) -> Kind {
    match kind {
        Some(Type::File) => Kind::File,
        Some(Type::Symlink) => Kind::Link,
        Some(Type::Directory) => Kind::Folder,
        _ => Kind::Other,
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests;
