//! Packs directories into one compressed archive: sorted, owned by nobody in particular, the same bytes for the same files. Runs as a
//! program of its own, as the software's user, so that what a release has put there can lead it nowhere.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use camino::{Utf8Path, Utf8PathBuf};
use tar::{EntryType, Header};

use super::offer::UNOFFERED;
use crate::software::{COMPLETED, buildout};

/// What of a release is packed where.
#[derive(Debug, clap::Args)]
pub struct Pack {
    /// The folder that the directories are below
    #[arg(long)]
    pub root: Utf8PathBuf,
    /// The archive, which is not there yet
    #[arg(long)]
    pub to: Utf8PathBuf,
    /// What to pack
    #[arg(required = true)]
    pub directories: Vec<Utf8PathBuf>,
}

/// Directories could not be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("failed to read `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to write the archive")]
    Write(#[source] io::Error),
}

/// More takes much longer and saves little.
const LEVEL: i32 = 9;
/// What each node says for itself.
const OWN: [&str; 3] = [COMPLETED, buildout::BUILDER, UNOFFERED];

impl Pack {
    /// Packs them.
    pub fn run(&self) -> Result<(), PackError> {
        let archive = File::create_new(&self.to).map_err(PackError::Write)?;
        pack(&self.root, &self.directories, &archive)?;
        archive.sync_all().map_err(PackError::Write)
    }
}

/// Writes the archive.
pub(super) fn pack(
    root: &Utf8Path,
    directories: &[Utf8PathBuf],
    to: impl Write,
) -> Result<(), PackError> {
    let zstd = zstd::stream::Encoder::new(to, LEVEL).map_err(PackError::Write)?;
    let mut packing = Packing {
        root: root.as_std_path(),
        tar: tar::Builder::new(zstd),
        seen: BTreeMap::new(),
    };
    for directory in directories {
        packing.folder(directory.as_std_path(), &OWN)?;
    }
    let zstd = packing.tar.into_inner().map_err(PackError::Write)?;
    zstd.finish().map_err(PackError::Write)?;
    Ok(())
}

struct Packing<'a, W: Write> {
    root: &'a Path,
    tar: tar::Builder<W>,
    /// Files with several names, by device and inode, under their first.
    seen: BTreeMap<(u64, u64), PathBuf>,
}

impl<W: Write> Packing<'_, W> {
    fn folder(&mut self, path: &Path, without: &[&str]) -> Result<(), PackError> {
        let whole = self.root.join(path);
        let failed = |source| read_error(&whole, source);
        let found = fs::symlink_metadata(&whole).map_err(failed)?;
        let mut header = header(&found, EntryType::Directory, 0);
        self.put(&mut header, path, io::empty())?;
        let entries = fs::read_dir(&whole).map_err(failed)?;
        let names = entries.map(|entry| Ok(entry?.file_name()));
        let mut names = names.collect::<io::Result<Vec<_>>>().map_err(failed)?;
        names.sort();
        names.retain(|name| !without.iter().any(|other| name == other));
        for name in names {
            self.entry(&path.join(name))?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path) -> Result<(), PackError> {
        let whole = self.root.join(path);
        let found = fs::symlink_metadata(&whole).map_err(|source| read_error(&whole, source))?;
        let kind = found.file_type();
        if kind.is_dir() {
            self.folder(path, &[])
        } else if kind.is_symlink() {
            let target = fs::read_link(&whole).map_err(|source| read_error(&whole, source))?;
            self.link(&found, EntryType::Symlink, path, &target)
        } else if kind.is_file() {
            self.file(path, &whole)
        } else {
            // Nobody makes pipes, sockets and devices of others' archives.
            Ok(())
        }
    }

    fn file(&mut self, path: &Path, whole: &Path) -> Result<(), PackError> {
        let failed = |source| read_error(whole, source);
        let mut open = fs::OpenOptions::new();
        open.read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = open.open(whole).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        let inode = (found.dev(), found.ino());
        if found.nlink() > 1 {
            if let Some(first) = self.seen.get(&inode).cloned() {
                return self.link(&found, EntryType::Link, path, &first);
            }
            self.seen.insert(inode, path.to_owned());
        }
        let mut header = header(&found, EntryType::Regular, found.len());
        let content = Exactly(file.take(found.len()));
        self.put(&mut header, path, content)
    }

    fn link(
        &mut self,
        found: &Metadata,
        kind: EntryType,
        path: &Path,
        target: &Path,
    ) -> Result<(), PackError> {
        let mut header = header(found, kind, 0);
        let linked = self.tar.append_link(&mut header, path, target);
        linked.map_err(PackError::Write)
    }

    fn put(
        &mut self,
        header: &mut Header,
        path: &Path,
        content: impl io::Read,
    ) -> Result<(), PackError> {
        let put = self.tar.append_data(header, path, content);
        put.map_err(PackError::Write)
    }
}

/// A file as long as its header says: a shorter one would shift all that follows.
struct Exactly(io::Take<File>);

impl io::Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 if self.0.limit() > 0 && !buffer.is_empty() => {
                Err(io::Error::other("a file became shorter meanwhile"))
            }
            count => Ok(count),
        }
    }
}

fn header(found: &Metadata, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(found.mode() & 0o777);
    header.set_uid(0);
    header.set_gid(0);
    // What Python compiled is of a file of this time.
    header.set_mtime(u64::try_from(found.mtime()).unwrap_or(0));
    header.set_size(size);
    header
}

fn read_error(path: &Path, source: io::Error) -> PackError {
    PackError::Read {
        path: path.to_owned(),
        source,
    }
}
