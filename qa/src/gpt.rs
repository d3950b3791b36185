//! Reads the partition table of a disk image, to find what a scenario spoils and what the image stage checks.
//! Never writes.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, Result, ensure};
use camino::Utf8Path;

const SECTOR: u64 = 512;
/// `8484680c-9521-48c6-9c11-b0720656f69e`: a /usr for this processor.
const USR: [u8; 16] = [
    0x0c, 0x68, 0x84, 0x84, 0x21, 0x95, 0xc6, 0x48, 0x9c, 0x11, 0xb0, 0x72, 0x06, 0x56, 0xf6, 0x9e,
];
/// Where erofs keeps its superblock.
pub const SUPERBLOCK: u64 = 1024;

/// One partition of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The type, as it is stored.
    pub kind: [u8; 16],
    /// The label in the table.
    pub label: String,
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub length: u64,
}

impl Partition {
    /// Whether it holds the system that boots: not its hash tree, and not the empty slot.
    pub fn is_usr(&self) -> bool {
        self.kind == USR && !self.label.starts_with('_')
    }
}

/// Reads the partitions of the image at `path`, in the table's order.
pub fn load_partitions(path: &Utf8Path) -> Result<Vec<Partition>> {
    let file = File::open(path).with_context(|| format!("cannot open {path}"))?;
    let mut header = [0; SECTOR as usize];
    file.read_exact_at(&mut header, SECTOR)
        .context("cannot read the partition table's header")?;
    ensure!(header.starts_with(b"EFI PART"), "{path} has no GPT");
    let (count, size) = (number(&header[80..84]), number(&header[84..88]));
    ensure!(
        count <= 1024 && (128..=4096).contains(&size),
        "the partition table of {path} makes no sense"
    );
    let mut table = vec![0; usize::try_from(count * size).context("the table is too large")?];
    file.read_exact_at(&mut table, number(&header[72..80]) * SECTOR)
        .context("cannot read the partition table")?;
    Ok(parse(
        &table,
        usize::try_from(size).context("an entry is too large")?,
    ))
}

/// The length of the erofs file system that begins at byte `start` of the image at `path`.
pub fn load_erofs_length(path: &Utf8Path, start: u64) -> Result<u64> {
    const MAGIC: u64 = 0xe0f5_e1e2;
    let file = File::open(path).with_context(|| format!("cannot open {path}"))?;
    let mut block = [0; 128];
    file.read_exact_at(&mut block, start + SUPERBLOCK)
        .context("cannot read the superblock of /usr")?;
    ensure!(number(&block[..4]) == MAGIC, "/usr is no erofs");
    Ok(number(&block[36..40]) << block[12])
}

fn parse(table: &[u8], entry: usize) -> Vec<Partition> {
    table
        .chunks_exact(entry)
        .filter(|e| e[..16].iter().any(|byte| *byte != 0))
        .map(partition)
        .collect()
}

fn partition(entry: &[u8]) -> Partition {
    let (first, last) = (number(&entry[32..40]), number(&entry[40..48]));
    let label: Vec<u16> = entry[56..128]
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .take_while(|unit| *unit != 0)
        .collect();
    let mut kind = [0; 16];
    kind.copy_from_slice(&entry[..16]);
    Partition {
        kind,
        label: String::from_utf16_lossy(&label),
        start: first * SECTOR,
        length: (last + 1).saturating_sub(first) * SECTOR,
    }
}

/// A little-endian number of up to eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_and_its_empty_entries_are_not_partitions() {
        let mut entry = vec![0_u8; 128];
        entry[0] = 1;
        entry[32..40].copy_from_slice(&2048_u64.to_le_bytes());
        entry[40..48].copy_from_slice(&4095_u64.to_le_bytes());
        for (place, unit) in entry[56..].chunks_exact_mut(2).zip("esp".encode_utf16()) {
            place.copy_from_slice(&unit.to_le_bytes());
        }
        let table = [entry, vec![0; 128]].concat();
        let mut kind = [0; 16];
        kind[0] = 1;
        let esp = Partition {
            kind,
            label: "esp".into(),
            start: 1 << 20,
            length: 1 << 20,
        };
        assert_eq!(parse(&table, 128), [esp]);
    }
}
