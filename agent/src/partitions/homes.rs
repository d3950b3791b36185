//! The folders that partitions have on other disks, one in each home of the document, as the original's node has them.
//!
//! Root works in a home by its descriptor only, and only while a disk is mounted there: a home whose disk is missing would
//! fill the disk of the system. Beside the folders a home has a note of whose each one is, since a disk that was away may come
//! back when somebody else has the partition.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use super::users::Ids;
use crate::desired::PartitionName;
use crate::inside::{Inside, Ownership};
use crate::instances::container::Mapping;

/// Where a partition sees its folders: `data0/slappartN`, `data1/slappartN` … below.
const STORAGE_HOME: &str = "/srv/storage";

/// A folder of a partition on another disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Where it is on the node.
    pub on_node: Utf8PathBuf,
    /// Where its programs see it.
    pub seen: Utf8PathBuf,
}

/// A home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    #[error("the storage home `{0}` is not there: mount its disk, or take it out of the document")]
    Missing(Utf8PathBuf),
    #[error(
        "nothing is mounted at the storage home `{0}`, and nothing is written there: mount its disk, or take it out of the document"
    )]
    NotMounted(Utf8PathBuf),
    #[error("the storage home `{0}` must be root's, and writable by nobody else")]
    NotRoots(Utf8PathBuf),
    #[error("failed to use the storage home `{path}`")]
    Use {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The homes of a node, as they are at a moment.
#[derive(Debug, Default)]
pub struct Homes(Vec<Result<Home, HomeError>>);

/// A home whose disk is mounted, held open.
#[derive(Debug)]
struct Home {
    number: usize,
    path: Utf8PathBuf,
    root: Inside,
}

/// A folder is its user's and nobody else's, as the partition's own directory.
const MODE: u32 = 0o750;
/// Notes of whose the folders are.
const NOTES: &str = ".slapbox";
const LONGEST_NOTE: u64 = 4096;

/// Returns where partitions see their folders, if the node has homes.
pub fn storage_home(homes: &[Utf8PathBuf]) -> Option<&'static str> {
    (!homes.is_empty()).then_some(STORAGE_HOME)
}

/// Returns where a partition sees its folders in so many homes.
pub fn seen(partition: PartitionName, homes: usize) -> Vec<String> {
    let places = (0..homes).map(|number| place(number, partition).into_string());
    places.collect()
}

fn place(number: usize, partition: PartitionName) -> Utf8PathBuf {
    Utf8Path::new(STORAGE_HOME).join(format!("data{number}/{partition}"))
}

impl Homes {
    /// Looks which homes can be used.
    pub fn open(paths: &[Utf8PathBuf]) -> Self {
        let homes = paths.iter().enumerate();
        Self(
            homes
                .map(|(number, path)| Home::open(number, path))
                .collect(),
        )
    }

    /// Returns in words what is wrong with those that cannot be used.
    pub fn failures(&self) -> impl Iterator<Item = &HomeError> {
        self.0.iter().filter_map(|home| home.as_ref().err())
    }

    /// Returns where the folders of a partition are, in the homes that can be used.
    pub fn folders(&self, partition: PartitionName) -> Vec<Folder> {
        let folders = self.usable().map(|home| Folder {
            on_node: home.path.join(partition.to_string()),
            seen: place(home.number, partition),
        });
        folders.collect()
    }

    /// Makes or repairs a partition's folder in each home that can be used; returns how many were not as they shall be.
    pub fn make(&self, partition: PartitionName, ids: Ids) -> Result<usize, HomeError> {
        self.each(|home| home.make(partition, ids))
            .map(|changed| changed.into_iter().filter(|it| *it).count())
    }

    /// Returns whether every folder that can be used is there and is this instance's.
    pub fn are_of(&self, partition: PartitionName, reference: &str) -> Result<bool, HomeError> {
        self.each(|home| home.is_of(partition, reference))
            .map(|are| are.into_iter().all(|it| it))
    }

    /// Gives an instance the folders. What another one left there is removed.
    pub fn give(
        &self,
        partition: PartitionName,
        ids: Ids,
        reference: &str,
    ) -> Result<(), HomeError> {
        self.each(|home| home.give(partition, ids, reference))
            .map(drop)
    }

    /// Returns whether nothing is in any folder; of a home that cannot be used nobody knows.
    pub fn are_empty(&self, partition: PartitionName) -> Result<bool, HomeError> {
        if self.failures().next().is_some() {
            return Ok(false);
        }
        self.each(|home| home.is_empty(partition))
            .map(|are| are.into_iter().all(|it| it))
    }

    /// Removes everything that is in the folders, in all homes or, if one cannot be used, in none.
    pub fn empty(self, partition: PartitionName) -> Result<(), HomeError> {
        let homes = self.0.into_iter().collect::<Result<Vec<_>, _>>()?;
        for home in homes {
            let emptied = home.empty(partition);
            emptied.map_err(|source| home.failed(source))?;
        }
        Ok(())
    }

    /// Removes the empty folders of a partition that is no more.
    pub fn remove(&self, partition: PartitionName) -> Result<(), HomeError> {
        self.each(|home| home.remove(partition)).map(drop)
    }

    fn usable(&self) -> impl Iterator<Item = &Home> {
        self.0.iter().filter_map(|home| home.as_ref().ok())
    }

    fn each<T>(&self, act: impl Fn(&Home) -> io::Result<T>) -> Result<Vec<T>, HomeError> {
        let act = |home: &Home| act(home).map_err(|source| home.failed(source));
        self.usable().map(act).collect()
    }
}

impl Home {
    fn open(number: usize, path: &Utf8Path) -> Result<Self, HomeError> {
        let failed = |source| HomeError::Use {
            path: path.to_owned(),
            source,
        };
        let root = Inside::open_if_there(path).map_err(failed)?;
        let root = root.ok_or_else(|| HomeError::Missing(path.to_owned()))?;
        if !root.is_mount_point().map_err(failed)? {
            return Err(HomeError::NotMounted(path.to_owned()));
        }
        let owner = root.ownership().map_err(failed)?;
        if owner.uid != 0 || owner.mode & 0o022 != 0 {
            return Err(HomeError::NotRoots(path.to_owned()));
        }
        let path = path.to_owned();
        Ok(Self { number, path, root })
    }

    fn failed(&self, source: io::Error) -> HomeError {
        HomeError::Use {
            path: self.path.clone(),
            source,
        }
    }

    fn make(&self, partition: PartitionName, ids: Ids) -> io::Result<bool> {
        let (name, wanted) = (partition.to_string(), Ownership::of_partition(ids, MODE));
        let Some(folder) = self.root.inner(&name)? else {
            self.root.folder(&name, wanted)?;
            return Ok(true);
        };
        // The root of a stock image may give it to another user of the image's.
        let found = folder.ownership()?;
        let is_its = Mapping::of(partition, ids).has(found.uid) && found.mode & 0o007 == 0;
        Ok(!is_its && folder.own(wanted)?)
    }

    fn is_of(&self, partition: PartitionName, reference: &str) -> io::Result<bool> {
        let folder = self.root.inner(&partition.to_string())?;
        Ok(folder.is_some() && self.note(partition)?.as_deref() == Some(reference))
    }

    fn give(&self, partition: PartitionName, ids: Ids, reference: &str) -> io::Result<()> {
        let note = self.note(partition)?;
        // Where there is no note, what is there was brought: by an operator, or by the original's node.
        if note.is_some_and(|note| note != reference)
            && let Some(folder) = self.root.inner(&partition.to_string())?
        {
            folder.wipe()?;
        }
        self.make(partition, ids)?;
        self.root.folder(NOTES, Ownership::of_root(0o700))?;
        let (path, only) = (path_of_note(partition), Ownership::of_root(0o600));
        self.root.replace(&path, reference.as_bytes(), only)?;
        self.root.sync()
    }

    fn is_empty(&self, partition: PartitionName) -> io::Result<bool> {
        match self.root.inner(&partition.to_string())? {
            Some(folder) => folder.holds_only(""),
            None => Ok(true),
        }
    }

    fn empty(&self, partition: PartitionName) -> io::Result<()> {
        if let Some(folder) = self.root.inner(&partition.to_string())? {
            folder.wipe()?;
        }
        self.root.remove(&path_of_note(partition))?;
        self.root.sync()
    }

    fn remove(&self, partition: PartitionName) -> io::Result<()> {
        if !self.is_empty(partition)? {
            return Ok(());
        }
        self.root.remove_folder(&partition.to_string())?;
        self.root.remove(&path_of_note(partition))
    }

    /// Whose the folder is, as noted.
    fn note(&self, partition: PartitionName) -> io::Result<Option<String>> {
        let note = self.root.read(&path_of_note(partition), LONGEST_NOTE)?;
        let text = |bytes| String::from_utf8(bytes).map_err(io::Error::other);
        note.map(text).transpose()
    }
}

fn path_of_note(partition: PartitionName) -> String {
    format!("{NOTES}/{partition}")
}

#[cfg(test)]
mod tests;
