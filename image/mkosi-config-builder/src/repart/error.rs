//! What is wrong with a partition or a layout, in words that say what to change.

use thiserror::Error;

use super::Stem;

/// Why a partition or a layout of partitions is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// Two settings of one partition that cannot both be meant.
    #[error("{these} contradict each other: {reason}; {remedy}")]
    Contradiction {
        these: String,
        reason: String,
        remedy: &'static str,
    },
    /// A setting that another one needs.
    #[error("{setting} needs {missing}: {remedy}")]
    Missing {
        setting: String,
        missing: String,
        remedy: &'static str,
    },
    /// A value outside of what systemd-repart takes.
    #[error("{setting} is out of range: {remedy}")]
    Range { setting: String, remedy: String },
    /// Two files whose order on the disk is not clear.
    #[error("partitions `{first}` and `{second}` have the same number: give each its own")]
    SameNumber { first: Stem, second: Stem },
    /// Two partitions with one name in the GPT.
    #[error(
        "partitions `{first}` and `{second}` have the same Label={label}: only `_empty` may stand twice"
    )]
    SameLabel {
        first: Stem,
        second: Stem,
        label: String,
    },
    /// A file that another one names and that is not there.
    #[error("`{stem}` is SupplementFor={name}, but there is no partition of that name")]
    NoTarget { stem: Stem, name: String },
    /// An ESP that firmware cannot read.
    #[error(
        "{setting} of the ESP `{stem}` is too small for FAT32 with sectors of {sector} bytes (too few clusters): use {least} or more"
    )]
    SmallEsp {
        stem: Stem,
        setting: String,
        sector: u64,
        least: crate::Size,
    },
    /// What is wrong with one file of the layout.
    #[error("failed to check partition `{stem}`")]
    Partition {
        stem: Stem,
        #[source]
        error: Box<Error>,
    },
}
