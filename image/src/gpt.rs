//! Reads just enough of a GUID partition table to find a partition by its name.

use std::io::{self, Read, Seek, SeekFrom};

use thiserror::Error;

/// Sectors of the image; a device with others cannot hold it as it is.
const SECTOR: u64 = 512;

/// Why a partition is not found.
#[derive(Debug, Error)]
pub(crate) enum GptError {
    #[error("failed to read the partition table")]
    Read(#[source] io::Error),
    #[error(
        "it is no disk image: there is no partition table (a compressed image must be unpacked first: `zstd -d`)"
    )]
    NotAnImage,
    #[error("its partition table is damaged: {what}")]
    Damaged { what: &'static str },
    #[error("it has no partition named `{name}`: it is no Slapbox image")]
    Missing { name: String },
}

/// Where a partition lies, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) start: u64,
    pub(crate) length: u64,
}

/// Finds the partition with this name on a disk.
pub(crate) fn find(disk: &mut (impl Read + Seek), name: &str) -> Result<Extent, GptError> {
    let end = disk.seek(SeekFrom::End(0)).map_err(GptError::Read)?;
    if end < 34 * SECTOR {
        return Err(GptError::NotAnImage);
    }
    let header = read(disk, SECTOR, 92)?;
    if &header[..8] != b"EFI PART" {
        return Err(GptError::NotAnImage);
    }
    let (table, count, size) = (
        u64_at(&header, 72),
        u32_at(&header, 80),
        u32_at(&header, 84),
    );
    if !(128..=4096).contains(&size) || count > 1024 {
        return Err(GptError::Damaged {
            what: "its entries have an impossible size or number",
        });
    }
    let table = table.checked_mul(SECTOR).ok_or(GptError::Damaged {
        what: "it lies outside of the disk",
    })?;
    let entries = read(disk, table, (count * size) as usize)?;
    let entry = entries
        .chunks_exact(size as usize)
        .find(|entry| entry[..16] != [0; 16] && name_of(entry) == name)
        .ok_or_else(|| GptError::Missing {
            name: name.to_owned(),
        })?;
    let (first, last) = (u64_at(entry, 32), u64_at(entry, 40));
    match (
        first.checked_mul(SECTOR),
        last.checked_add(1).and_then(|it| it.checked_mul(SECTOR)),
    ) {
        (Some(start), Some(stop)) if start < stop && stop <= end => Ok(Extent {
            start,
            length: stop - start,
        }),
        _ => Err(GptError::Damaged {
            what: "a partition lies outside of the disk",
        }),
    }
}

fn read(disk: &mut (impl Read + Seek), at: u64, length: usize) -> Result<Vec<u8>, GptError> {
    let mut bytes = vec![0; length];
    let outside = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
    match disk
        .seek(SeekFrom::Start(at))
        .and_then(|_| disk.read_exact(&mut bytes))
    {
        Err(error) if outside(&error) => Err(GptError::Damaged {
            what: "it lies outside of the disk",
        }),
        Err(error) => Err(GptError::Read(error)),
        Ok(()) => Ok(bytes),
    }
}

fn name_of(entry: &[u8]) -> String {
    let units = entry[56..128]
        .chunks_exact(2)
        .map(|it| u16::from_le_bytes([it[0], it[1]]));
    char::decode_utf16(units.take_while(|unit| *unit != 0))
        .map(|it| it.unwrap_or('\u{fffd}'))
        .collect()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
