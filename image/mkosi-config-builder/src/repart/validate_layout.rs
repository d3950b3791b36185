//! Partitions that cannot lie on one disk together. Pure.

use std::collections::BTreeMap;

use super::validate::{contradiction, missing};
use super::{Error, Label, Layout, Partition, PartitionType, Stem, Verity};
use crate::mkosi::SectorSize;
use crate::{Name, Size};

/// The least ESP that repart's vfat makes readable for firmware with large sectors.
const LEAST_ESP_4096: Size = Size::mib(512);
/// The same with sectors of 512 bytes: 65525 clusters of one sector, and the tables.
const LEAST_ESP_512: Size = Size::mib(34);

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
        self.check_partners()
    }

    fn check_esp(&self, stem: &Stem, partition: &Partition) -> Result<(), Error> {
        if partition.r#type != Some(PartitionType::Esp) {
            return Ok(());
        }
        let sector = self.sector_size.unwrap_or(SectorSize::B4096);
        let least = if sector == SectorSize::B512 {
            LEAST_ESP_512
        } else {
            LEAST_ESP_4096
        };
        let small = |setting: String| Error::SmallEsp {
            stem: stem.clone(),
            setting,
            sector: sector.as_bytes(),
            least,
        };
        match (partition.size_min, partition.size_max) {
            (_, Some(max)) if max < least => Err(small(format!("SizeMaxBytes={max}"))),
            (Some(min), _) if min < least => Err(small(format!("SizeMinBytes={min}"))),
            (None, _) => Err(small("the missing SizeMinBytes=".to_owned())),
            _ => Ok(()),
        }
    }

    fn check_supplement(&self, stem: &Stem, partition: &Partition) -> Result<(), Error> {
        match &partition.supplement_for {
            Some(name)
                if !self
                    .partitions
                    .keys()
                    .any(|it| it.to_string() == name.as_str() && it != stem) =>
            {
                Err(Error::NoTarget {
                    stem: stem.clone(),
                    name: name.to_string(),
                })
            }
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

    /// Checks that each verity key has one data and one hash partition, and at most one signature.
    fn check_partners(&self) -> Result<(), Error> {
        let mut keys: BTreeMap<&Name, Vec<Verity>> = BTreeMap::new();
        for (_, partition) in self.partitions.values() {
            if let (Some(key), Some(verity)) = (&partition.verity_match_key, partition.verity) {
                keys.entry(key).or_default().push(verity);
            }
        }
        for (key, parts) in keys {
            for wanted in [Verity::Data, Verity::Hash, Verity::Signature] {
                let count = parts.iter().filter(|it| **it == wanted).count();
                if count > 1 {
                    return contradiction(
                        &format!("two partitions with Verity={wanted} and VerityMatchKey={key}"),
                        "their hashes could not be told apart",
                        "give each set its own key",
                    );
                }
                if count == 0 && wanted != Verity::Signature {
                    return missing(
                        &format!("VerityMatchKey={key}"),
                        &format!("a partition with Verity={wanted} and the same key"),
                        "add it, or drop Verity= from its partners",
                    );
                }
            }
        }
        Ok(())
    }
}
