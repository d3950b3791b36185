//! Whether a disk has the slots that a transfer writes to. Pure.

use super::{Error, TargetType, Transfer};
use crate::repart::Layout;

impl Transfer {
    /// Refuses a target whose partitions the disk does not have, as many as versions are kept.
    pub fn validate_on(&self, layout: &Layout) -> Result<(), Error> {
        let (Some(kind), Some(wanted)) =
            (self.target.match_partition_type, self.target.instances_max)
        else {
            return Ok(());
        };
        if self.target.r#type != TargetType::Partition {
            return Ok(());
        }
        let partitions = layout.partitions.values();
        let there = partitions.filter(|(_, it)| it.r#type == Some(kind)).count();
        if there < wanted.get() as usize {
            return Err(Error::Slots {
                kind,
                there,
                wanted: wanted.get(),
            });
        }
        Ok(())
    }
}
