//! Parts that several releases have, built once: the peer's `shared_part_list`. Recipes such as slapos.recipe.cmmi put a part into
//! `.shared/NAME/DIGEST`, where the digest is of everything that it is made of, and believe in one that has the file which they write
//! there last.
//!
//! A build may add parts and alter none: what is complete after it is on the disk and root's. So a part that is not root's is one
//! of an interrupted build, and after a power cut nobody knows whether all of it was written: it is made again.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};
use nix::dir::{Dir, Type};
use nix::fcntl::renameat;

use super::{SoftwareError, disk_error, sync};
use crate::disk;
use crate::inside::{Inside, Kind, Ownership};
use crate::partitions::users::Ids;

mod nested;
mod references;

pub use references::Part;
use references::Parts;

/// The folder of all shared parts, beside the releases.
const FOLDER: &str = ".shared";
/// What a recipe writes last: what the part is made of, with the places of the parts that it needs.
const COMPLETE: &str = ".buildout-shared.json";
/// How the files end that recipes of long ago wrote instead.
const SIGNATURE: &str = "signature";
/// Says, until the next boot, that nothing is left of builds before the last one.
const LOOKED_AT: &str = "shared-parts-of-this-boot";
/// Where buildout notes what a release consists of.
const INSTALLED: &str = ".installed.cfg";
/// More than the longest of these files.
const LONGEST: u64 = 64 * 1024 * 1024;
/// As much of a program as may name a part: what is longer is no script.
const LONGEST_SCRIPT: u64 = 1024 * 1024;

/// Returns the folder of all shared parts.
pub fn folder(software: &Utf8Path) -> Utf8PathBuf {
    software.join(FOLDER)
}

/// Returns the shared parts that a release has, those that they need themselves included. `release` is its folder.
pub fn used_by(software: &Utf8Path, release: &Utf8Path) -> Result<BTreeSet<Part>, SoftwareError> {
    let Some(shared) = Shared::open(software)? else {
        return Ok(BTreeSet::new());
    };
    let parts = shared.parts()?;
    let named = named_in(release, &parts)?;
    shared.reached(named, &parts)
}

/// Where there are releases that may have shared parts.
#[derive(Clone, Copy, Debug)]
pub struct Users<'a> {
    /// The folder of the node's own, installed or not.
    pub software: &'a Utf8Path,
    /// The folder of the partitions, in which instances may have built some themselves.
    pub instances: &'a Utf8Path,
    /// Other folders of releases.
    pub more: &'a [Utf8PathBuf],
}

/// Returns the shared parts that none of these releases has, nor a part that one of them has.
pub fn unused(users: Users<'_>) -> Result<BTreeSet<Part>, SoftwareError> {
    let software = users.software;
    let mut all = releases(software)?;
    for place in users.more {
        // One that is not there was typed wrongly, and what it has would be lost.
        all.extend(releases(place)?);
    }
    let Some(shared) = Shared::open(software)? else {
        return Ok(BTreeSet::new());
    };
    let parts = shared.parts()?;
    let mut named = BTreeSet::new();
    for release in all {
        named.extend(named_in(&release, &parts)?);
    }
    named.extend(nested::named(users.instances, &parts)?);
    let used = shared.reached(named, &parts)?;
    Ok(parts
        .iter()
        .filter(|part| !used.contains(*part))
        .cloned()
        .collect())
}

/// Removes what nobody has; returns what that was. No build may run meanwhile.
pub fn prune(users: Users<'_>) -> Result<BTreeSet<Part>, SoftwareError> {
    let unused = unused(users)?;
    if let Some(shared) = Shared::open(users.software)? {
        for part in &unused {
            let path = part.to_string();
            shared.remove(&path)?;
        }
        shared.tidy()?;
    }
    Ok(unused)
}

/// Returns where a part is, below the folder of all releases.
pub(super) fn below(part: &Part) -> Utf8PathBuf {
    Utf8Path::new(FOLDER).join(part.to_string())
}

/// Says whether a path below the folder of all releases is that of a part, or of something in one.
pub(super) fn is_in_part(path: &Path) -> bool {
    let mut parts = path.strip_prefix(FOLDER).into_iter().flatten();
    let mut part = || parts.next()?.to_str();
    part()
        .zip(part())
        .is_some_and(|(name, digest)| Part::new(name, digest).is_some())
}

/// Takes the parts that a folder of releases has, and that were complete and root's where they were built; what is here already
/// stays. No build may run meanwhile.
pub(super) fn adopt(
    software: &Utf8Path,
    run: &Utf8Path,
    ids: Ids,
    from: &Utf8Path,
) -> Result<(), SoftwareError> {
    let Some(theirs) = Shared::open(from)? else {
        return Ok(());
    };
    open(software, run, ids)?;
    let shared = Shared::at(&folder(software))?;
    let has = shared.parts()?;
    for part in theirs.parts()?.iter() {
        let is_there = has.iter().any(|other| other == part);
        if !(is_there && shared.is_root_s(part)?) {
            shared.take(part, &theirs, ids)?;
        }
    }
    // A folder that an interrupted build has made is not its own any more.
    settle(software, ids, None)
}

/// Makes the folder ready for a build: what an interrupted one has left is completed or removed. `run` is emptied at each boot.
pub(super) fn open(software: &Utf8Path, run: &Utf8Path, ids: Ids) -> Result<(), SoftwareError> {
    let path = folder(software);
    match fs::DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.map_err(|source| disk_error(&path, source))?,
    }
    let shared = Shared::at(&path)?;
    shared
        .inside
        .own(ours(ids))
        .map_err(|source| disk_error(&path, source))?;
    let looked_at = run.join(LOOKED_AT);
    if looked_at.exists() {
        return settle(software, ids, None);
    }
    for part in shared.parts()?.iter() {
        if !shared.is_root_s(part)? {
            shared.remove(&part.to_string())?;
        }
    }
    disk::replace(&looked_at, b"").map_err(|error| disk_error(&looked_at, io::Error::other(error)))
}

/// Makes what builds have completed safe on the disk and root's, and all that a release has whose build has succeeded. No build may
/// run meanwhile.
pub(super) fn settle(
    software: &Utf8Path,
    ids: Ids,
    built: Option<&Utf8Path>,
) -> Result<(), SoftwareError> {
    let Some(shared) = Shared::open(software)? else {
        return Ok(());
    };
    sync(&shared.path)?;
    for name in shared.names()? {
        // Whoever builds may add to it, and remove only what is not root's.
        shared.at_below(&name, |inside| inside.own(ours(ids)).map(drop))?;
    }
    let has = built.map_or(Ok(BTreeSet::new()), |built| used_by(software, built))?;
    for part in shared.parts()?.iter() {
        if !shared.is_root_s(part)? && (has.contains(part) || shared.is_complete(part)?) {
            shared.at_below(&part.to_string(), Inside::seal)?;
        }
    }
    sync(&shared.path)
}

/// A folder that everybody who builds may add to, and where nobody alters what another has.
fn ours(ids: Ids) -> Ownership {
    Ownership {
        uid: 0,
        gid: ids.gid,
        mode: 0o1775,
    }
}

/// The folder of all shared parts. What is in it was put there by builds, which are not believed: nothing here follows a link.
struct Shared {
    path: Utf8PathBuf,
    inside: Inside,
}

impl Shared {
    fn open(software: &Utf8Path) -> Result<Option<Self>, SoftwareError> {
        let path = folder(software);
        let inside = Inside::open_if_there(&path);
        let inside = inside.map_err(|source| disk_error(&path, source))?;
        Ok(inside.map(|inside| Self { path, inside }))
    }

    fn at(path: &Utf8Path) -> Result<Self, SoftwareError> {
        let inside = Inside::open(path).map_err(|source| disk_error(path, source))?;
        let path = path.to_owned();
        Ok(Self { path, inside })
    }

    fn at_below<T>(
        &self,
        path: &str,
        work: impl FnOnce(&Inside) -> io::Result<T>,
    ) -> Result<T, SoftwareError> {
        let done = self.inside.below(path).and_then(|inside| work(&inside));
        done.map_err(|source| disk_error(&self.path.join(path), source))
    }

    fn folders(&self, path: &str) -> Result<Vec<String>, SoftwareError> {
        let listed = self.inside.list(path);
        let listed = listed.map_err(|source| disk_error(&self.path.join(path), source))?;
        let folders = listed.into_iter().filter(|(_, kind)| *kind == Kind::Folder);
        Ok(folders.map(|(name, _)| name).collect())
    }

    fn names(&self) -> Result<Vec<String>, SoftwareError> {
        self.folders(".")
    }

    fn parts(&self) -> Result<Parts, SoftwareError> {
        let mut parts = Parts::default();
        for name in self.names()? {
            for digest in self.folders(&name)? {
                if let Some(part) = Part::new(&name, &digest) {
                    parts.insert(part);
                }
            }
        }
        Ok(parts)
    }

    fn is_root_s(&self, part: &Part) -> Result<bool, SoftwareError> {
        self.at_below(&part.to_string(), |inside| Ok(inside.ownership()?.uid == 0))
    }

    fn is_complete(&self, part: &Part) -> Result<bool, SoftwareError> {
        self.at_below(&part.to_string(), |inside| {
            Ok(inside.read(COMPLETE, LONGEST)?.is_some())
        })
    }

    /// The parts that are reached from those that are named.
    fn reached(
        &self,
        named: BTreeSet<Part>,
        parts: &Parts,
    ) -> Result<BTreeSet<Part>, SoftwareError> {
        references::reached(named, |part| {
            self.at_below(&part.to_string(), |inside| {
                let mut named = BTreeSet::new();
                for file in tellers(inside)? {
                    let text = inside.read(&file, LONGEST)?.unwrap_or_default();
                    named.extend(parts.named_in(&text));
                }
                Ok(named)
            })
        })
    }

    /// Moves a part here, in the place of one that is not complete.
    fn take(&self, part: &Part, from: &Self, ids: Ids) -> Result<(), SoftwareError> {
        self.remove(&part.to_string())?;
        let take = || -> io::Result<()> {
            self.inside.folder(part.name(), ours(ids))?;
            let here = self.inside.open_folder(part.name())?;
            let there = from.inside.open_folder(part.name())?;
            Ok(renameat(&there, part.digest(), &here, part.digest())?)
        };
        take().map_err(|source| disk_error(&self.path.join(part.to_string()), source))
    }

    fn remove(&self, path: &str) -> Result<(), SoftwareError> {
        let removed = self.inside.remove_folder(path);
        removed.map_err(|source| disk_error(&self.path.join(path), source))
    }

    /// Removes folders that nothing is left in.
    fn tidy(&self) -> Result<(), SoftwareError> {
        let remove = |path: &Utf8Path| match fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            removed => removed.map_err(|source| disk_error(path, source)),
        };
        for name in self.names()? {
            remove(&self.path.join(name))?;
        }
        remove(&self.path)
    }
}

/// The files of a part that tell what it is made of.
fn tellers(part: &Inside) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    // A part may have any number of entries.
    for entry in Dir::from_fd(part.open_folder(".")?)?.iter() {
        let entry = entry?;
        let name = entry.file_name().to_str().unwrap_or_default();
        let tells = name == COMPLETE || (name.starts_with('.') && name.ends_with(SIGNATURE));
        if tells && entry.file_type() == Some(Type::File) {
            found.push(name.to_owned());
        }
    }
    Ok(found)
}

/// The folders of releases in a folder, complete or not.
fn releases(software: &Utf8Path) -> Result<Vec<Utf8PathBuf>, SoftwareError> {
    let failed = |source| SoftwareError::Parts {
        path: software.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in software.read_dir_utf8().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_folder = entry.file_type().map_err(failed)?.is_dir();
        if is_folder && !entry.file_name().starts_with('.') {
            found.push(entry.into_path());
        }
    }
    Ok(found)
}

/// The parts that the release in a folder names.
fn named_in(release: &Utf8Path, parts: &Parts) -> Result<BTreeSet<Part>, SoftwareError> {
    let named = Inside::open(release).and_then(|inside| named_by_release(&inside, parts));
    named.map_err(|source| SoftwareError::Parts {
        path: release.to_owned(),
        source,
    })
}

/// The parts that a release names: in what buildout notes of it, and, as the peer looks there, too, in its programs.
fn named_by_release(release: &Inside, parts: &Parts) -> io::Result<BTreeSet<Part>> {
    let installed = release.read(INSTALLED, LONGEST)?.unwrap_or_default();
    let mut named = parts.named_in(&installed);
    for (name, kind) in release.list("bin")? {
        let text = match kind {
            Kind::File => release.read_start(&format!("bin/{name}"), LONGEST_SCRIPT)?,
            Kind::Link => release.read_link("bin", &name)?,
            Kind::Folder | Kind::Other => Vec::new(),
        };
        named.extend(parts.named_in(&text));
    }
    Ok(named)
}

#[cfg(test)]
mod tests;
