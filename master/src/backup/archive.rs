//! The file of a backup: a tar of plain files, first `manifest.json`, which says what else there is, how large it is, and its SHA-256.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use slap::v1::ReleaseName;

use super::{BackupError, failed_read, failed_write};

/// The database, when it is a file.
pub(super) const DATABASE: &str = "master.sqlite";
/// The database, as PostgreSQL's `pg_dump` writes it in its custom format.
pub(super) const DUMP: &str = "database.pgdump";
const MANIFEST: &str = "manifest.json";
/// Ten thousand releases fit.
const MANIFEST_LIMIT: u64 = 4 << 20;
/// The version of this format. A reader refuses a higher one.
pub(super) const FORMAT: u32 = 1;

/// What is in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    /// The version of the program that made it.
    pub(super) program: String,
    /// In seconds since 1970.
    pub(super) made_at: i64,
    /// The number of the newest migration of its database.
    pub(super) schema: i64,
    /// The pin of its CA.
    pub(super) ca: String,
    pub(super) members: Vec<Member>,
}

/// A file in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) sha256: String,
}

impl Manifest {
    /// Says whether anything of a folder is in the backup.
    pub(super) fn has_in(&self, folder: &str) -> bool {
        let inside = |it: &Member| it.name.rsplit_once('/').is_some_and(|(it, _)| it == folder);
        self.members.iter().any(inside)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|it| it.name == name)
    }
}

impl Member {
    /// Returns what is said of a file.
    pub(super) fn of(name: String, path: &Utf8Path) -> Result<Self, BackupError> {
        let mut file = File::open(path).map_err(failed_read(path))?;
        let never = AtomicBool::new(false);
        let (size, sha256) = copy(&mut file, &mut io::sink(), &never).map_err(failed_read(path))?;
        Ok(Self { name, size, sha256 })
    }
}

/// Writes an archive whose members `place` finds.
pub(super) fn write(
    to: &Utf8Path,
    manifest: &Manifest,
    place: impl Fn(&Member) -> Utf8PathBuf,
    stop: &AtomicBool,
) -> Result<(), BackupError> {
    let broken = failed_write;
    let file = private(to).map_err(broken(to))?;
    let mut archive = tar::Builder::new(io::BufWriter::new(file));
    let text = serde_json::to_vec_pretty(manifest).expect("texts and numbers are JSON");
    append(&mut archive, MANIFEST, text.len() as u64, &text[..]).map_err(broken(to))?;
    for member in &manifest.members {
        let path = place(member);
        let file = File::open(&path).map_err(failed_read(&path))?;
        let mut watched = Watched {
            from: file.take(member.size),
            digest: Sha256::new(),
            stop,
        };
        append(&mut archive, &member.name, member.size, &mut watched).map_err(|source| {
            if stop.load(Ordering::Relaxed) {
                return BackupError::Interrupted;
            }
            BackupError::FailedWrite {
                path: to.to_owned(),
                source,
            }
        })?;
        if hex(watched.digest) != member.sha256 {
            return Err(BackupError::Changed { path });
        }
    }
    let finish = || -> io::Result<()> {
        let file = archive.into_inner()?.into_inner()?;
        file.sync_all()
    };
    finish().map_err(broken(to))
}

fn append(
    archive: &mut tar::Builder<impl Write>,
    name: &str,
    size: u64,
    from: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o600);
    archive.append_data(&mut header, name, from)
}

/// Reads an archive to its end, and puts what is in it into `folder`, if there is one. What it returns is there whole.
pub(super) fn read(
    path: &Utf8Path,
    folder: Option<&Utf8Path>,
    stop: &AtomicBool,
) -> Result<Manifest, BackupError> {
    let no_backup = |reason: String| BackupError::NoBackup {
        file: path.to_owned(),
        reason,
    };
    let cut = |err: io::Error| no_backup(format!("it cannot be read to its end: {err}"));
    let file = File::open(path).map_err(failed_read(path))?;
    let mut archive = tar::Archive::new(io::BufReader::new(file));
    let mut entries = archive.entries().map_err(cut)?;
    let first = entries.next().transpose().map_err(cut)?;
    let manifest = parse(first).map_err(no_backup)?;
    if manifest.format > FORMAT {
        return Err(BackupError::Newer(path.to_owned()));
    }
    let mut wanted = manifest.members.iter();
    for entry in entries {
        let mut entry = entry.map_err(cut)?;
        let name = entry.path().map_err(cut)?.to_string_lossy().into_owned();
        let member = wanted
            .next()
            .filter(|it| it.name == name && is_member(&name) && it.size == entry.size())
            .filter(|_| entry.header().entry_type().is_file())
            .ok_or_else(|| no_backup(format!("`{name}` is not what its manifest says")))?;
        let digest = match folder {
            None => copy(&mut entry, &mut io::sink(), stop).map_err(cut)?.1,
            Some(folder) => unpack(&mut entry, &folder.join(&name), stop)?,
        };
        if digest != member.sha256 {
            return Err(no_backup(format!("`{name}` is damaged")));
        }
    }
    match wanted.next() {
        Some(missing) => Err(no_backup(format!("`{}` is missing", missing.name))),
        None => Ok(manifest),
    }
}

fn parse(entry: Option<tar::Entry<'_, impl Read>>) -> Result<Manifest, String> {
    let entry = entry.ok_or("it is empty")?;
    if entry.path().ok().as_deref() != Some(MANIFEST.as_ref()) {
        return Err("it does not begin with a manifest".to_owned());
    }
    let mut text = String::new();
    entry
        .take(MANIFEST_LIMIT)
        .read_to_string(&mut text)
        .map_err(|err| format!("its manifest cannot be read: {err}"))?;
    serde_json::from_str(&text).map_err(|err| format!("its manifest cannot be read: {err}"))
}

/// Whether something may be in a backup. No name leads out of the folder that it is put into.
fn is_member(name: &str) -> bool {
    match name.rsplit_once('/') {
        None => [DATABASE, DUMP].contains(&name),
        Some(("ca" | "ca/previous" | "releases", file)) => file.parse::<ReleaseName>().is_ok(),
        Some(_) => false,
    }
}

fn unpack(from: &mut impl Read, to: &Utf8Path, stop: &AtomicBool) -> Result<String, BackupError> {
    let mut write = || -> io::Result<String> {
        let mut file = private(to)?;
        let (_, digest) = copy(from, &mut file, stop)?;
        file.sync_all()?;
        Ok(digest)
    };
    write().map_err(failed_write(to))
}

fn private(path: &Utf8Path) -> io::Result<File> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Copies to the end; returns how much there was, and its SHA-256.
fn copy(from: &mut impl Read, to: &mut impl Write, stop: &AtomicBool) -> io::Result<(u64, String)> {
    let mut watched = Watched {
        from,
        digest: Sha256::new(),
        stop,
    };
    let size = io::copy(&mut watched, to)?;
    Ok((size, hex(watched.digest)))
}

/// Reads on until it is told to stop, and digests what it reads.
struct Watched<'a, R> {
    from: R,
    digest: Sha256,
    stop: &'a AtomicBool,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("it was interrupted"));
        }
        let read = self.from.read(buffer)?;
        self.digest.update(&buffer[..read]);
        Ok(read)
    }
}

fn hex(digest: Sha256) -> String {
    let digest = digest.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
