//! Whether a partition may have a device. Pure.

use std::collections::BTreeSet;
use std::fmt;

use super::look::{Block, Number};
use crate::desired::PartitionName;

/// What there is to know of the node.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// What the document lists.
    pub(super) listed: BTreeSet<Number>,
    /// What other partitions have.
    pub(super) taken: Vec<(PartitionName, Block)>,
    /// The disks that the system is on.
    pub(super) system: BTreeSet<Number>,
    /// Whether the node itself uses the device.
    pub(super) busy: bool,
}

/// Why a partition does not get a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    NoDevice,
    NotThere,
    NotListed,
    System,
    Taken(PartitionName),
    Busy,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDevice => f.write_str("it is no block device below `/dev`"),
            Self::NotThere => f.write_str("this node has none of that name"),
            Self::NotListed => f.write_str(
                "it is not in the list `devices` of `[storage]` in the document of this node",
            ),
            Self::System => f.write_str("it is on a disk that holds the system of this node"),
            Self::Taken(partition) => write!(f, "{partition} has it"),
            Self::Busy => {
                f.write_str("this node uses it itself: it is mounted, or swap, or part of a volume")
            }
        }
    }
}

/// Returns the device, if a partition may have it.
pub(super) fn judge(found: Option<Block>, facts: &Facts) -> Result<Block, Refusal> {
    let block = found.ok_or(Refusal::NotThere)?;
    if !block.is_block {
        return Err(Refusal::NoDevice);
    }
    if !facts.listed.contains(&block.number) {
        return Err(Refusal::NotListed);
    }
    if facts.system.contains(&block.disk) {
        return Err(Refusal::System);
    }
    let mut taken = facts.taken.iter();
    if let Some((partition, _)) = taken.find(|(_, other)| overlap(&block, other)) {
        return Err(Refusal::Taken(*partition));
    }
    if facts.busy {
        return Err(Refusal::Busy);
    }
    Ok(block)
}

/// Whether they share a byte: they are the same, or one is a part of the other.
fn overlap(one: &Block, other: &Block) -> bool {
    one.number == other.number || one.disk == other.number || other.disk == one.number
}
