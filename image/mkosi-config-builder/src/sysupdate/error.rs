//! What is wrong with a transfer, in words that say what to change.

use thiserror::Error;

/// Why a transfer is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// Two settings that cannot both be meant.
    #[error("{these} contradict each other: {reason}; {remedy}")]
    Contradiction {
        these: String,
        reason: &'static str,
        remedy: &'static str,
    },
    /// A setting that is not there and must be.
    #[error("{setting} is missing: {remedy}")]
    Missing {
        setting: &'static str,
        remedy: &'static str,
    },
    /// A value that systemd-sysupdate does not take.
    #[error("{setting} cannot be used: {remedy}")]
    Unusable {
        setting: String,
        remedy: &'static str,
    },
    /// A disk without room for another version.
    #[error(
        "InstancesMax={wanted} with MatchPartitionType={kind} needs as many partitions of that type, but the layout has {there}: add slots labelled `_empty`"
    )]
    Slots {
        kind: crate::repart::PartitionType,
        there: usize,
        wanted: u32,
    },
}
