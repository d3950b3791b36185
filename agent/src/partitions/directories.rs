//! The partitions' directories and what root keeps in them: made, and repaired where owner, mode or content differ.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::users::Ids;
use crate::desired::PartitionName;
use crate::inside::{Inside, Ownership};
use crate::workload::Paths;

/// What a partition's directory shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    pub partition: PartitionName,
    pub ids: Ids,
    /// The text of `.slapos-resource`.
    pub resource: String,
}

/// A directory could not be made or repaired.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("failed to make `{path}`")]
    Make {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to repair `{path}`")]
    Repair {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to read `{path}`")]
    Read {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Where a partition says what it has.
pub const RESOURCE: &str = ".slapos-resource";
/// Far more than a resource file needs.
const LONGEST_RESOURCE: u64 = 64 * 1024;

/// Makes the folders above the partitions' directories; returns how many were missing or not as they shall be.
pub fn make_roots(paths: &Paths, software: Ids) -> Result<usize, DirectoryError> {
    let root = Ownership::of_root(0o755);
    let software = Ownership::of_partition(software, 0o755);
    Ok(make(&paths.instances, root)? + make(&paths.software, software)?)
}

/// Makes or repairs a partition's directory; returns how many things changed. Not synced.
pub fn make_one(paths: &Paths, directory: &Directory) -> Result<usize, DirectoryError> {
    let path = paths.partition(directory.partition);
    let wanted = Ownership::of_partition(directory.ids, 0o750);
    let changed = make(&path, wanted)?;
    let repair = |source| DirectoryError::Repair {
        path: path.join(RESOURCE),
        source,
    };
    let inside = Inside::open(&path).map_err(repair)?;
    Ok(changed + usize::from(put_resource(&inside, &directory.resource).map_err(repair)?))
}

/// Writes `.slapos-resource` where it is missing or altered; returns whether it had to.
pub fn put_resource(inside: &Inside, resource: &str) -> io::Result<bool> {
    let wanted = Ownership::of_root(0o644);
    // One that cannot be read (a link, a pipe) is replaced like any other wrong one.
    let found = inside
        .read_owned(RESOURCE, LONGEST_RESOURCE)
        .unwrap_or_default();
    if found.is_some_and(|(text, owner)| text == resource.as_bytes() && owner == wanted) {
        return Ok(false);
    }
    inside.replace(RESOURCE, resource.as_bytes(), wanted)?;
    Ok(true)
}

/// Returns the partitions from `count` on that have a directory, and whether something is in it.
pub fn beyond(paths: &Paths, count: u16) -> Result<Vec<(PartitionName, bool)>, DirectoryError> {
    let read = |source| DirectoryError::Read {
        path: paths.instances.clone(),
        source,
    };
    let mut found = Vec::new();
    let entries = match paths.instances.read_dir_utf8() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries.map_err(read)?,
    };
    for entry in entries {
        let entry = entry.map_err(read)?;
        if let Ok(partition) = entry.file_name().parse::<PartitionName>()
            && partition.index() >= count
        {
            let inside = Inside::open(entry.path()).map_err(read)?;
            found.push((partition, !inside.holds_only(RESOURCE).map_err(read)?));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Removes the directory of a partition that is empty.
pub fn remove(paths: &Paths, partition: PartitionName) -> Result<(), DirectoryError> {
    let path = paths.partition(partition);
    let remove = || {
        Inside::open(&path)?.remove(RESOURCE)?;
        std::fs::remove_dir(&path)
    };
    remove().map_err(|source| DirectoryError::Repair { path, source })
}

fn make(path: &Utf8Path, wanted: Ownership) -> Result<usize, DirectoryError> {
    let built = match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => 0,
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_above(path)?,
        Err(source) => {
            let path = path.to_owned();
            return Err(DirectoryError::Make { path, source });
        }
        Ok(()) => 1,
    };
    let own = || Inside::open(path)?.own(wanted);
    let repaired = own().map_err(|source| DirectoryError::Repair {
        path: path.to_owned(),
        source,
    })?;
    Ok(built.max(usize::from(repaired)))
}

fn make_above(path: &Utf8Path) -> Result<usize, DirectoryError> {
    let made = std::fs::create_dir_all(path);
    made.map_err(|source| DirectoryError::Make {
        path: path.to_owned(),
        source,
    })?;
    Ok(1)
}
