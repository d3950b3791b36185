//! Lays the layers of an image into a folder, whatever they hold.
//!
//! Every path is resolved with that folder as its root, as a program running there would see it, so that nothing can
//! be written elsewhere. Nothing is set-user-id, no device is made, and size and number are bounded by the disk.
//!
//! Everything has the owner and the mode that the image gives it, so that what runs with the image's users finds what it
//! expects; those users are none of the node, and so nobody of the node may come near: the folder above is root's alone.
//! Besides, everybody may read, since a partition's user runs an image that instantiates itself.
//!
//! What was built is laid down in the same way, but whoever takes it says whose it is, and it has the modes that it was built with.

use std::fs::File;
use std::io::{self, BufRead, Read, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use camino::Utf8Path;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{Mode, SFlag, fchmod, fstatat, futimens, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::{
    Gid, LinkatFlags, Uid, UnlinkatFlags, fchown, fchownat, linkat, symlinkat, unlinkat,
};
use sha2::{Digest as _, Sha256};

use super::budget::Budget;
use super::store::Store;
use super::tar_stream::{Entry, Kind, TarStream};
use crate::inside::remove_folder;
use crate::partitions::users::Ids;

/// A layer could not be laid down.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error("failed to open the folder to unpack into")]
    Open(#[source] io::Error),
    #[error("failed to read the layer")]
    Read(#[source] io::Error),
    #[error("the layer has a path that leaves the image: `{0}`")]
    Escapes(String),
    #[error("it has `{0}`, which is nothing that it may have")]
    Elsewhere(String),
    #[error("the layer has a hard link `{path}` to `{target}`, which the image does not have")]
    HardLink { path: String, target: String },
    #[error("failed to make `{path}` of the image")]
    Make {
        path: String,
        #[source]
        source: io::Error,
    },
}

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const BUFFER: usize = 64 * 1024;
/// Levels of zstd up to 22 `--long=25` fit; a frame may not make us allocate more.
const LARGEST_ZSTD_WINDOW_LOG: u32 = 25;
/// As many users has an image in a partition; the file of one beyond is root's.
const MOST_IDS: u64 = 65_536;

/// The folder that an image is laid into.
pub(super) struct Target<'a> {
    root: OwnedFd,
    store: Option<&'a Store>,
    owner: Option<&'a Owner<'a>>,
}

/// Whose what has a path shall be; nobody's, if there may be nothing of this path.
type Owner<'a> = dyn Fn(&Path) -> Option<Ids> + 'a;

impl<'a> Target<'a> {
    pub(super) fn open(folder: &Utf8Path) -> Result<Self, UnpackError> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let root = openat(AT_FDCWD, folder.as_std_path(), flags, Mode::empty());
        let root = root.map_err(|errno| UnpackError::Open(errno.into()))?;
        Ok(Self {
            root,
            store: None,
            owner: None,
        })
    }

    /// Has of files that others have, too, only a link.
    pub(super) fn sharing(self, store: &'a Store) -> Self {
        Self {
            store: Some(store),
            ..self
        }
    }

    /// Takes what was built: it has the modes that it says, and is theirs whose it shall be.
    pub(super) fn owned_as(self, owner: &'a Owner<'a>) -> Self {
        Self {
            owner: Some(owner),
            ..self
        }
    }

    /// Removes what the layer says is no longer there. Goes before `add`, since a whiteout is about lower layers
    /// only, wherever it stands among the layer's entries.
    pub(super) fn subtract(&self, layer: impl Read) -> Result<(), UnpackError> {
        let mut tar = TarStream::new(decompressed(layer).map_err(UnpackError::Read)?);
        while let Some(entry) = tar.next_entry().map_err(UnpackError::Read)? {
            let path = normal(&entry.path)?;
            let Some((folder, name)) = parent_and_name(&path) else {
                continue;
            };
            if !name.starts_with(WHITEOUT) {
                continue;
            }
            let gone = if name == OPAQUE {
                self.clear(folder)
            } else {
                self.remove(folder, &name[WHITEOUT.len()..])
            };
            gone.map_err(|source| make_error(&path, source))?;
        }
        Ok(())
    }

    /// Lays down what the layer has.
    pub(super) fn add(&self, layer: impl Read, budget: &mut Budget) -> Result<(), UnpackError> {
        let mut tar = TarStream::new(decompressed(layer).map_err(UnpackError::Read)?);
        let mut buffer = vec![0; BUFFER];
        while let Some(mut entry) = tar.next_entry().map_err(UnpackError::Read)? {
            let path = normal(&entry.path)?;
            let Some((folder, name)) = parent_and_name(&path) else {
                continue;
            };
            match self.owner {
                Some(owner) => own(&mut entry, &path, owner)?,
                None if name.starts_with(WHITEOUT) => continue,
                None => {}
            }
            let is_built = self.owner.is_some();
            let wrong = |source| make_error(&path, source);
            budget.take_entry().map_err(wrong)?;
            let folder = self.folder(folder).map_err(wrong)?;
            match entry.kind {
                Kind::File => {
                    let file = make_file(&folder, name).map_err(wrong)?;
                    let store = self.store.filter(|_| Store::takes(entry.size));
                    let mut digest = store.map(|_| Sha256::new());
                    let content = (&mut tar, digest.as_mut());
                    copy(content, &file, budget, &mut buffer).map_err(wrong)?;
                    finish(&file, &entry, is_built).map_err(wrong)?;
                    if let (Some(store), Some(digest)) = (store, digest) {
                        let shared = store.share(&folder, as_path(name), &file, &digest.finalize());
                        shared.map_err(wrong)?;
                    }
                }
                Kind::Folder => make_folder(&folder, name)
                    .and_then(|()| finish_folder(&folder, name, &entry, is_built))
                    .map_err(wrong)?,
                Kind::Symlink => make_symlink(&folder, name, &entry).map_err(wrong)?,
                Kind::HardLink => self.hard_link(&folder, name, &path, &entry.link)?,
                // Programs get a private /dev, and may make pipes themselves.
                Kind::Device | Kind::Pipe => {}
            }
        }
        Ok(())
    }

    fn hard_link(
        &self,
        folder: &OwnedFd,
        name: &[u8],
        path: &[u8],
        target: &[u8],
    ) -> Result<(), UnpackError> {
        let dangling = || UnpackError::HardLink {
            path: text(path),
            target: text(target),
        };
        let target = normal(target)?;
        let (target_folder, target_name) = parent_and_name(&target).ok_or_else(dangling)?;
        let target_folder = self.existing(target_folder).map_err(|_| dangling())?;
        let stat = fstatat(
            &target_folder,
            as_path(target_name),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        );
        let kind = stat.map_err(|_| dangling())?.st_mode & SFlag::S_IFMT.bits();
        if kind != SFlag::S_IFREG.bits() && kind != SFlag::S_IFLNK.bits() {
            return Err(dangling());
        }
        // A name linked to itself must not be removed to make room.
        if target == path {
            return Ok(());
        }
        let link = || {
            make_room(folder, name)?;
            linkat(
                &target_folder,
                as_path(target_name),
                folder,
                as_path(name),
                LinkatFlags::empty(),
            )
        };
        link().map_err(|errno| make_error(path, errno.into()))
    }

    /// Opens a folder of the image, making what is missing on the way.
    fn folder(&self, path: &[u8]) -> io::Result<OwnedFd> {
        match self.existing(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let (parent, name) = parent_and_name(path).ok_or(io::ErrorKind::NotFound)?;
        let parent = self.folder(parent)?;
        make_folder(&parent, name)?;
        self.existing(path)
    }

    fn existing(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        Ok(openat2(&self.root, as_path(path), how)?)
    }

    fn remove(&self, folder: &[u8], name: &[u8]) -> io::Result<()> {
        match self.existing(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(_) if matches!(name, b"" | b"." | b"..") => Ok(()),
            Ok(folder) => Ok(make_room(&folder, name)?),
        }
    }

    fn clear(&self, folder: &[u8]) -> io::Result<()> {
        match self.existing(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(folder) => crate::inside::empty_folder(&folder),
        }
    }
}

/// Makes an entry somebody's, if there may be one.
fn own(entry: &mut Entry, path: &[u8], owner: &Owner<'_>) -> Result<(), UnpackError> {
    let ids = owner(as_path(path)).ok_or_else(|| UnpackError::Elsewhere(text(path)))?;
    entry.uid = ids.uid.into();
    entry.gid = ids.gid.into();
    Ok(())
}

/// Returns the content of what may be compressed, told by how it begins.
pub(super) fn decompressed<'a>(content: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut content = io::BufReader::with_capacity(BUFFER, content);
    let start = content.fill_buf()?;
    if start.starts_with(&[0x1f, 0x8b]) {
        Ok(Box::new(flate2::bufread::MultiGzDecoder::new(content)))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(content)?;
        decoder.window_log_max(LARGEST_ZSTD_WINDOW_LOG)?;
        Ok(Box::new(decoder))
    } else {
        Ok(Box::new(content))
    }
}

/// Returns a path without `/` at its ends, `.` and empty parts; one with `..` is refused.
fn normal(path: &[u8]) -> Result<Vec<u8>, UnpackError> {
    let parts = path.split(|byte| *byte == b'/');
    let parts: Vec<_> = parts.filter(|part| !matches!(*part, b"" | b".")).collect();
    if parts.contains(&b"..".as_slice()) || path.contains(&0) {
        return Err(UnpackError::Escapes(text(path)));
    }
    Ok(parts.join(&b'/'))
}

fn parent_and_name(path: &[u8]) -> Option<(&[u8], &[u8])> {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => Some((&path[..slash], &path[slash + 1..])),
        None => (!path.is_empty()).then_some((b"".as_slice(), path)),
    }
}

fn make_file(folder: &OwnedFd, name: &[u8]) -> io::Result<File> {
    make_room(folder, name)?;
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(folder, as_path(name), flags, Mode::S_IRUSR)?.into())
}

fn copy(
    (content, mut digest): (&mut impl Read, Option<&mut Sha256>),
    mut file: &File,
    budget: &mut Budget,
    buffer: &mut [u8],
) -> io::Result<()> {
    loop {
        let count = content.read(buffer)?;
        if count == 0 {
            return Ok(());
        }
        budget.take_bytes(count as u64)?;
        file.write_all(&buffer[..count])?;
        if let Some(digest) = digest.as_mut() {
            digest.update(&buffer[..count]);
        }
    }
}

fn finish(file: &File, entry: &Entry, is_built: bool) -> io::Result<()> {
    let run = if entry.mode & 0o100 == 0 { 0 } else { 0o111 };
    let readable = if is_built { 0 } else { 0o444 | run };
    let mode = entry.mode & 0o777 | readable;
    let (uid, gid) = owner(entry);
    fchown(file, uid, gid)?;
    fchmod(file, Mode::from_bits_truncate(mode))?;
    let mtime = TimeSpec::new(i64::try_from(entry.mtime).unwrap_or(0), 0);
    Ok(futimens(file, &mtime, &mtime)?)
}

/// What is a link to a folder stays as it is.
fn finish_folder(folder: &OwnedFd, name: &[u8], entry: &Entry, is_built: bool) -> io::Result<()> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let made = match openat(folder, as_path(name), flags, Mode::empty()) {
        Err(Errno::ELOOP | Errno::ENOTDIR) => return Ok(()),
        made => made?,
    };
    let (uid, gid) = owner(entry);
    fchown(&made, uid, gid)?;
    let mode = match is_built {
        true => entry.mode & 0o777,
        false => entry.mode & 0o1777 | 0o555,
    };
    Ok(fchmod(&made, Mode::from_bits_truncate(mode))?)
}

/// Only root can give things away; who is not root unpacks for a test.
fn owner(entry: &Entry) -> (Option<Uid>, Option<Gid>) {
    let number = |id: u64| u32::try_from(id).ok().filter(|_| id < MOST_IDS);
    let number = |id: u64| Uid::effective().is_root().then(|| number(id).unwrap_or(0));
    (
        number(entry.uid).map(Uid::from_raw),
        number(entry.gid).map(Gid::from_raw),
    )
}

fn make_folder(folder: &OwnedFd, name: &[u8]) -> io::Result<()> {
    let make = || mkdirat(folder, as_path(name), Mode::from_bits_truncate(0o755));
    match make() {
        Err(Errno::EEXIST) => {
            let stat = fstatat(folder, as_path(name), AtFlags::AT_SYMLINK_NOFOLLOW)?;
            let kind = stat.st_mode & SFlag::S_IFMT.bits();
            // A link to a folder stays, as a lower layer's `lib -> usr/lib` must.
            if kind == SFlag::S_IFDIR.bits() || kind == SFlag::S_IFLNK.bits() {
                return Ok(());
            }
            make_room(folder, name)?;
            Ok(make()?)
        }
        other => Ok(other?),
    }
}

fn make_symlink(folder: &OwnedFd, name: &[u8], entry: &Entry) -> io::Result<()> {
    make_room(folder, name)?;
    symlinkat(as_path(&entry.link), folder, as_path(name))?;
    let (uid, gid) = owner(entry);
    let itself = AtFlags::AT_SYMLINK_NOFOLLOW;
    Ok(fchownat(folder, as_path(name), uid, gid, itself)?)
}

/// Removes what has the name.
fn make_room(folder: &OwnedFd, name: &[u8]) -> nix::Result<()> {
    match unlinkat(folder, as_path(name), UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(Errno::EISDIR) => remove_folder(folder, as_path(name))
            .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)),
        Err(error) => Err(error),
    }
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

fn make_error(path: &[u8], source: io::Error) -> UnpackError {
    UnpackError::Make {
        path: text(path),
        source,
    }
}

fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
