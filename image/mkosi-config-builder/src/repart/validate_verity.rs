//! Data, hashes and signatures of dm-verity that do not fit each other. Pure.

use std::collections::BTreeMap;

use super::validate::{contradiction, missing};
use super::{Error, Layout, Minimize, Partition, Stem, Verity};
use crate::{Name, Size};

/// Bytes of one SHA-256 hash.
const HASH: u64 = 32;

type Part<'a> = (&'a Stem, &'a Partition);

impl Layout {
    /// Checks that each verity key has one data and one hash partition, and at most one signature.
    pub(super) fn check_partners(&self) -> Result<(), Error> {
        let mut sets: BTreeMap<&Name, Vec<Part<'_>>> = BTreeMap::new();
        for (stem, (_, partition)) in &self.partitions {
            if let Some(key) = &partition.verity_match_key {
                sets.entry(key).or_default().push((stem, partition));
            }
        }
        sets.iter()
            .try_for_each(|(key, parts)| self.check_set(key, parts))
    }

    fn check_set(&self, key: &Name, parts: &[Part<'_>]) -> Result<(), Error> {
        let data = one(key, parts, Verity::Data)?;
        let hash = one(key, parts, Verity::Hash)?;
        one(key, parts, Verity::Signature)?;
        for (part, wanted) in [(data, Verity::Data), (hash, Verity::Hash)] {
            if part.is_none() {
                return missing(
                    &format!("VerityMatchKey={key}"),
                    &format!("a partition with Verity={wanted} and the same key"),
                    "add it, or drop Verity= from its partners",
                );
            }
        }
        let priority = |(_, it): &Part<'_>| it.priority.unwrap_or_default();
        if parts.iter().any(|it| priority(it) != priority(&parts[0])) {
            return contradiction(
                &format!("the Priority= of partitions with VerityMatchKey={key}"),
                "on a small disk one would be left out without the others",
                "give all the same",
            );
        }
        match (data, hash) {
            (Some(data), Some(hash)) => self.check_pair(data, hash),
            _ => Ok(()),
        }
    }

    fn check_pair(&self, data: Part<'_>, hash: Part<'_>) -> Result<(), Error> {
        let on = |it: Option<Minimize>| it.is_some_and(|it| it != Minimize::Off);
        if on(hash.1.minimize) && !on(data.1.minimize) && data.1.copy_blocks.is_none() {
            return missing(
                &format!("Minimize= of `{}`", hash.0),
                &format!("Minimize= or CopyBlocks= in `{}`", data.0),
                "else the size of the data is not known in time; give the hashes a fixed size",
            );
        }
        let (Some(size), Some(max)) = (data.1.size_max, hash.1.size_max) else {
            return Ok(());
        };
        let default = Size::bytes(self.sector_size.map_or(4096, |it| it.as_bytes()));
        let least = hash_size(
            size,
            hash.1.verity_data_block_size.unwrap_or(default),
            hash.1.verity_hash_block_size.unwrap_or(default),
        );
        if max < least {
            return Err(Error::SmallHash {
                hash: hash.0.clone(),
                data: data.0.clone(),
                max,
                size,
                least,
            });
        }
        Ok(())
    }
}

/// Returns the size of a verity partition for so much data: a superblock and a tree of hashes.
fn hash_size(data: Size, data_block: Size, hash_block: Size) -> Size {
    let fan_out = hash_block.as_bytes() / HASH;
    let mut level = data.as_bytes().div_ceil(data_block.as_bytes());
    let mut blocks = 1;
    while level > 1 {
        level = level.div_ceil(fan_out);
        blocks += level;
    }
    let bytes = blocks * hash_block.as_bytes();
    Size::bytes(bytes.next_multiple_of(4096))
}

fn one<'a>(key: &Name, parts: &[Part<'a>], verity: Verity) -> Result<Option<Part<'a>>, Error> {
    let mut found = parts.iter().filter(|(_, it)| it.verity == Some(verity));
    let first = found.next().copied();
    match found.next() {
        None => Ok(first),
        Some(_) => contradiction(
            &format!("two partitions with Verity={verity} and VerityMatchKey={key}"),
            "their hashes could not be told apart",
            "give each set its own key",
        )
        .map(|()| None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_need_what_veritysetup_makes_of_them() {
        let block = Size::bytes(4096);
        for (data, blocks) in [
            (4096, 1),
            (8192, 2),
            (128 * 4096, 2),
            (129 * 4096, 4),
            (1536 << 20, 3098),
        ] {
            let size = hash_size(Size::bytes(data), block, block);
            assert_eq!(size.as_bytes() / 4096, blocks, "{data}");
        }
    }
}
