//! Partitions that cannot lie on one disk together. Pure.

use std::collections::BTreeMap;

use super::validate::missing;
use super::{Error, Label, Layout, Partition, PartitionType, Stem};
use crate::Size;
use crate::mkosi::SectorSize;

/// FAT32 begins at 65525 clusters, and mkfs makes them of one sector: twice that leaves room for tables and kernels.
const LEAST_ESP_SECTORS: u64 = 2 * 65536;

impl Layout {
    /// Refuses partitions that are wrong by themselves or together.
    pub fn validate(&self) -> Result<(), Error> {
        for (stem, (_, partition)) in &self.partitions {
            let wrap = |error| Error::Partition {
                stem: stem.clone(),
                error: Box::new(error),
            };
            partition.validate().map_err(wrap)?;
            self.check_esp(stem, partition)?;
            self.check_supplement(stem, partition)?;
        }
        self.check_names()?;
        self.check_root()?;
        self.check_partners()
    }

    fn check_esp(&self, stem: &Stem, partition: &Partition) -> Result<(), Error> {
        if partition.r#type != Some(PartitionType::Esp) {
            return Ok(());
        }
        let sector = self.sector_size.unwrap_or(SectorSize::B4096);
        let least = Size::bytes(LEAST_ESP_SECTORS * sector.as_bytes());
        let made = partition.format.is_some() || !partition.copy_files.is_empty();
        let small = |setting: String| Error::SmallEsp {
            stem: stem.clone(),
            setting,
            sector: sector.as_bytes(),
            least,
        };
        match (partition.size_min, partition.size_max) {
            (_, Some(max)) if max < least => Err(small(format!("SizeMaxBytes={max}"))),
            (Some(min), _) if min < least => Err(small(format!("SizeMinBytes={min}"))),
            (None, _) if made => Err(small("the missing SizeMinBytes=".to_owned())),
            _ => Ok(()),
        }
    }

    fn check_supplement(&self, stem: &Stem, partition: &Partition) -> Result<(), Error> {
        let Some(name) = &partition.supplement_for else {
            return Ok(());
        };
        let of = |it: &Partition| it.supplement_for.as_ref() == Some(name);
        let target = self
            .partitions
            .iter()
            .find(|(it, _)| it.to_string() == name.as_str());
        let odd = |it: &Partition| {
            it.copy_blocks.is_some() || it.encrypt.is_some() || it.verity.is_some()
        };
        let reason = match target {
            None => "there is no partition of that name",
            Some((it, _)) if it == stem => "it names itself",
            Some((_, (_, it))) if it.supplement_for.is_some() => "that is a supplement itself",
            Some((_, (_, it))) if odd(it) || odd(partition) => {
                "neither may have CopyBlocks=, Encrypt= or Verity="
            }
            _ if self.partitions.values().filter(|(_, it)| of(it)).count() > 1 => {
                "that has another supplement"
            }
            _ => return Ok(()),
        };
        Err(Error::Supplement {
            stem: stem.clone(),
            name: name.to_string(),
            reason,
        })
    }

    /// Checks that a new root has the folder over which `/usr` is mounted.
    fn check_root(&self) -> Result<(), Error> {
        let kind = |it: &Partition| it.r#type;
        let all = || self.partitions.iter().map(|(stem, (_, it))| (stem, it));
        let usr = all().any(|(_, it)| matches!(kind(it), Some(PartitionType::Usr(_))));
        let bare = all().find(|(_, it)| {
            matches!(kind(it), Some(PartitionType::Root(_)))
                && it.format.is_some()
                && it.copy_files.is_empty()
                && !it
                    .make_directories
                    .iter()
                    .any(|path| path.as_str().trim_end_matches('/') == "/usr")
        });
        match bare {
            Some((stem, _)) if usr => missing(
                &format!("Format= of `{stem}`"),
                "MakeDirectories=/usr",
                "without it the usr partition cannot be mounted over the new root",
            ),
            _ => Ok(()),
        }
    }

    fn check_names(&self) -> Result<(), Error> {
        let mut numbers: BTreeMap<u8, &Stem> = BTreeMap::new();
        let mut labels: BTreeMap<&Label, &Stem> = BTreeMap::new();
        for (stem, (_, partition)) in &self.partitions {
            if let Some(first) = numbers.insert(stem.number(), stem) {
                return Err(Error::SameNumber {
                    first: first.clone(),
                    second: stem.clone(),
                });
            }
            let Some(label) = partition.label.as_ref().filter(|it| !it.is_empty_slot()) else {
                continue;
            };
            if let Some(first) = labels.insert(label, stem) {
                return Err(Error::SameLabel {
                    first: first.clone(),
                    second: stem.clone(),
                    label: label.to_string(),
                });
            }
        }
        Ok(())
    }
}
