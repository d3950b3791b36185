//! How much of the node's disk each partition may use, where the file system that they are on holds quotas of users and projects.
//!
//! What a partition's user owns is counted wherever it is, temporary files too. The files of stock images have owners by the thousand, of
//! which none is the partition's user: they are below folders of a project, which nobody in a user namespace can leave. A program outside of one
//! may say of its own files that they belong to a project (and they count for its user all the same): which number is whose is confidential, so
//! that nobody fills a neighbour's quota.

use std::io;
use std::os::fd::AsFd;

use camino::Utf8Path;
use sha2::{Digest as _, Sha256};
use slapbox_quota::{Owner, Space};

use crate::desired::PartitionName;
use crate::partitions::users::Ids;
use crate::workload::Paths;

/// The quotas of the file system that partitions are on.
#[derive(Debug, Default)]
pub struct Quotas {
    kernel: Option<slapbox_quota::Quotas>,
    /// The machine's identifier, which machine-id(5) has kept confidential.
    machine: String,
}

/// Who has less left than this has nothing left: what is written is seldom smaller.
const NOTHING_LEFT: u64 = 64 << 10;

impl Quotas {
    /// Finds them; a file system without, or one that cannot be asked, holds nobody.
    pub fn of(paths: &Paths) -> Self {
        // Partitions may be yet to be made.
        let there = paths.instances.ancestors().find(|folder| folder.exists());
        let folder = there.unwrap_or(Utf8Path::new("/"));
        let kernel = slapbox_quota::Quotas::of(folder.as_std_path());
        let kernel = kernel.unwrap_or_else(|error| {
            tracing::warn!("whether the disk of `{folder}` has quotas is not known: {error}");
            None
        });
        let machine = std::fs::read_to_string(paths.etc.join("machine-id"));
        Self {
            kernel,
            machine: machine.unwrap_or_default(),
        }
    }

    /// Whether anybody can be held to anything.
    pub fn are_on(&self) -> bool {
        self.kernel.is_some()
    }

    /// Returns the project of a partition's files that are not its user's.
    pub fn project(&self, partition: PartitionName) -> Option<u32> {
        self.are_on().then(|| project(&self.machine, partition))
    }

    /// Whether a partition is held to so many bytes, or to none; and whether it has used all that it is held to.
    pub fn observe(
        &self,
        partition: PartitionName,
        ids: Ids,
        most: Option<u64>,
    ) -> io::Result<(bool, bool)> {
        let Some(kernel) = &self.kernel else {
            return Ok((true, false));
        };
        let (mut held, mut full) = (true, false);
        for owner in self.owners(partition, ids) {
            let space = kernel.space(owner)?;
            held &= space.most == most.map(whole_blocks);
            full |= is_full(space);
        }
        Ok((held, full))
    }

    /// Holds a partition to so many bytes, or to none.
    pub fn hold(&self, partition: PartitionName, ids: Ids, most: Option<u64>) -> io::Result<()> {
        let Some(kernel) = &self.kernel else {
            return Ok(());
        };
        let mut owners = self.owners(partition, ids).into_iter();
        owners.try_for_each(|owner| kernel.limit(owner, most))
    }

    fn owners(&self, partition: PartitionName, ids: Ids) -> [Owner; 2] {
        let project = project(&self.machine, partition);
        [Owner::User(ids.uid), Owner::Project(project)]
    }
}

/// Has what is made in a folder from now on count for a project.
pub fn count_for(folder: impl AsFd, project: u32) -> io::Result<()> {
    slapbox_quota::put_into_project(folder.as_fd(), project)
}

/// Returns what the kernel holds of so many bytes.
fn whole_blocks(bytes: u64) -> u64 {
    bytes.next_multiple_of(slapbox_quota::BLOCK)
}

fn is_full(space: Space) -> bool {
    let most = space.most;
    most.is_some_and(|most| most.saturating_sub(space.used) < NOTHING_LEFT)
}

/// Returns a number that stays, and that nobody guesses who does not know the machine's identifier.
fn project(machine: &str, partition: PartitionName) -> u32 {
    let about = format!("slapbox project\0{}\0{partition}", machine.trim());
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(about.as_bytes()));
    // Zero is everybody's, and tools take numbers above 2³¹ for negative.
    (u32::from_le_bytes([a, b, c, d]) >> 1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_stay_and_differ_by_machine_and_partition() {
        let of = |machine, index| project(machine, PartitionName::new(index));
        assert_eq!(of("one", 3), of("one\n", 3));
        assert_ne!(of("one", 3), of("one", 4));
        assert_ne!(of("one", 3), of("two", 3));
        assert!((0..200).all(|index| (1..1 << 31).contains(&of("one", index))));
    }

    #[test]
    fn who_has_used_all_but_a_little_has_used_all() {
        let is = |used, most| is_full(Space { used, most });
        assert!(!is(u64::MAX, None));
        assert!(!is(0, Some(16 << 20)));
        assert!(!is((16 << 20) - NOTHING_LEFT, Some(16 << 20)));
        assert!(is((16 << 20) - 4096, Some(16 << 20)));
        // Lowered below what is used already.
        assert!(is(32 << 20, Some(16 << 20)));
    }

    #[test]
    fn where_there_are_no_quotas_nobody_is_held() {
        let quotas = Quotas::default();
        let (partition, ids) = (PartitionName::new(0), Ids { uid: 7, gid: 7 });
        assert!(!quotas.are_on() && quotas.project(partition).is_none());
        assert_eq!(quotas.observe(partition, ids, None).unwrap(), (true, false));
        quotas.hold(partition, ids, Some(1 << 20)).unwrap();
    }
}
