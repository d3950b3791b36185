//! How much of a file system a user or a project may use, as the kernel holds it. It decides nothing, and keeps nothing.
//!
//! A file counts for its owner, and for the project that it is in: the one of the folder that it was made in. Both quotas must be on, which
//! is the mount's to say (`usrquota,prjquota`).

mod kernel;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Whose use is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A user, by their number.
    User(u32),
    /// What is below certain folders, by the number of their project.
    Project(u32),
}

/// What an owner uses, and may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes.
    pub used: u64,
    /// Bytes, of which the kernel lets nobody use more but who may pass over quotas (`CAP_SYS_RESOURCE`); nothing is as much as there is.
    pub most: Option<u64>,
}

/// A file system that holds quotas of users and of projects.
#[derive(Debug)]
pub struct Quotas(File);

/// The kernel counts limits in blocks of this many bytes, whatever the file system's are (`QIF_DQBLKSIZE`).
pub const BLOCK: u64 = 1024;

impl Quotas {
    /// Finds the quotas of the file system that a folder is on; there are none where they are not both on, and held.
    pub fn of(folder: &Path) -> io::Result<Option<Self>> {
        let folder = File::open(folder)?;
        let holds = kernel::holds_quotas(folder.as_fd())?;
        Ok(holds.then_some(Self(folder)))
    }

    /// Returns what an owner uses, and may.
    pub fn space(&self, owner: Owner) -> io::Result<Space> {
        let found = kernel::quota(self.0.as_fd(), owner)?;
        Ok(Space {
            used: found.dqb_curspace,
            most: (found.dqb_bhardlimit != 0).then(|| found.dqb_bhardlimit.saturating_mul(BLOCK)),
        })
    }

    /// Lets an owner use so many bytes, up to a block, and no more; nothing is as much as there is.
    pub fn limit(&self, owner: Owner, most: Option<u64>) -> io::Result<()> {
        // The kernel takes zero for no limit.
        let blocks = most.map_or(0, |bytes| bytes.div_ceil(BLOCK).max(1));
        kernel::limit(self.0.as_fd(), owner, blocks)
    }
}

/// Puts a folder into a project, and with it what is made in it from now on.
pub fn put_into_project(folder: BorrowedFd<'_>, project: u32) -> io::Result<()> {
    kernel::put_into_project(folder, project)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_of_memory_has_no_quotas_of_projects() {
        // No kernel has them for `/proc`, and all have it.
        assert!(Quotas::of(Path::new("/proc")).unwrap().is_none());
        let missing = Quotas::of(Path::new("/proc/none")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn where_there_are_no_projects_a_folder_is_put_into_none() {
        let folder = File::open("/proc").unwrap();
        put_into_project(folder.as_fd(), 7).unwrap_err();
    }
}
