//! The partitions of the node: users, directories, `.slapos-resource`, network.

pub mod document;

/// Why the partitions could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PartitionsError {
    /// Fewer than before, and one that would go is in use.
    #[error(
        "{wanted} partitions are wanted, but {partition} is in use: destroy its instance first"
    )]
    InUse {
        wanted: u16,
        partition: crate::desired::PartitionName,
    },
}
