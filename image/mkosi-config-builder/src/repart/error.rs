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
    /// A partition that is a supplement, or has one, in a way systemd-repart does not do.
    #[error("SupplementFor={name} of `{stem}` cannot be: {reason}")]
    Supplement {
        stem: Stem,
        name: String,
        reason: &'static str,
    },
    /// An ESP that firmware may not read.
    #[error(
        "{setting} of the ESP `{stem}` is too small: FAT32 with sectors of {sector} bytes has too few clusters for firmware; use {least} or more"
    )]
    SmallEsp {
        stem: Stem,
        setting: String,
        sector: u64,
        least: crate::Size,
    },
    /// A partition of hashes that its data may outgrow.
    #[error(
        "SizeMaxBytes={max} of `{hash}` holds no hashes of `{data}` at its SizeMaxBytes={size}: use {least} or more"
    )]
    SmallHash {
        hash: Stem,
        data: Stem,
        max: crate::Size,
        size: crate::Size,
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
