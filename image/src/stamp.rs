//! Writes a configuration into the seed partition: a tar with one member, `slapbox.toml`. Needs no root.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};

use camino::Utf8Path;
use thiserror::Error;

use crate::gpt::{self, GptError};

/// The name of the seed partition in the GPT.
pub(crate) const LABEL: &str = "slapbox-seed";

/// The member of the tar that the agent reads.
const MEMBER: &str = "slapbox.toml";

/// Why an image is not stamped.
#[derive(Debug, Error)]
pub(crate) enum StampError {
    #[error("failed to open it for writing")]
    Open(#[source] io::Error),
    #[error(transparent)]
    Gpt(#[from] GptError),
    #[error("the configuration is no TOML")]
    Toml(#[source] toml::de::Error),
    #[error(
        "the configuration is too large: {size} bytes with the tar around it, and the seed partition has {room}"
    )]
    TooLarge { size: u64, room: u64 },
    #[error("failed to pack the configuration")]
    Pack(#[source] io::Error),
    #[error("failed to write the seed partition")]
    Write(#[source] io::Error),
}

/// Writes the document, and zeros behind it, so that nothing of an earlier one remains.
pub(crate) fn stamp(image: &Utf8Path, document: &str) -> Result<(), StampError> {
    toml::from_str::<toml::Table>(document).map_err(StampError::Toml)?;
    let seed = pack(document).map_err(StampError::Pack)?;
    let mut disk = OpenOptions::new()
        .read(true)
        .write(true)
        .open(image)
        .map_err(StampError::Open)?;
    let extent = gpt::find(&mut disk, LABEL)?;
    let size = seed.len() as u64;
    if size > extent.length {
        return Err(StampError::TooLarge {
            size,
            room: extent.length,
        });
    }
    write(&mut disk, extent, &seed).map_err(StampError::Write)
}

fn pack(document: &str) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(document.len() as u64);
    header.set_mode(0o600);
    header.set_entry_type(tar::EntryType::Regular);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, MEMBER, document.as_bytes())?;
    archive.into_inner()
}

fn write(disk: &mut File, extent: gpt::Extent, seed: &[u8]) -> io::Result<()> {
    disk.seek(SeekFrom::Start(extent.start))?;
    disk.write_all(seed)?;
    io::copy(
        &mut io::Read::take(io::repeat(0), extent.length - seed.len() as u64),
        disk,
    )?;
    disk.sync_all()
}

#[cfg(test)]
mod tests;
