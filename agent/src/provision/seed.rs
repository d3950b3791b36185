//! The image's seed partition: 1 MiB that holds a tar with one member, or zeros.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, bail};

use crate::places::Places;

const DEVICE: &str = "dev/disk/by-partlabel/slapbox-seed";
const MEMBER: &str = "slapbox.toml";
const SIZE: u64 = 1024 * 1024;

/// Reads the document from the seed partition, if there is one.
pub(super) fn read(places: &Places) -> anyhow::Result<Option<Vec<u8>>> {
    let device = places.at(DEVICE);
    let file = match File::open(&device) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context(format!("failed to open `{device}`")),
    };
    let mut bytes = Vec::new();
    file.take(SIZE)
        .read_to_end(&mut bytes)
        .with_context(|| format!("failed to read `{device}`"))?;
    unpack(&bytes)
}

/// Fills the seed partition with zeros.
pub(super) fn zero(places: &Places) -> anyhow::Result<()> {
    let device = places.at(DEVICE);
    let write = || -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&device)?;
        let zeros = vec![0; 64 * 1024];
        for at in (0..SIZE).step_by(zeros.len()) {
            file.write_all_at(&zeros, at)?;
        }
        file.sync_all()
    };
    write().with_context(|| format!("failed to overwrite `{device}`"))
}

/// Takes the document out of the partition's bytes.
fn unpack(bytes: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    for entry in tar::Archive::new(bytes)
        .entries()
        .context("the seed is no tar")?
    {
        let mut entry = entry.context("the seed is no tar")?;
        let path = entry.path().context("the seed is no tar")?;
        if path.strip_prefix("./").unwrap_or(&path).as_os_str() == MEMBER {
            let mut document = Vec::new();
            entry
                .read_to_end(&mut document)
                .context("the seed is cut short")?;
            return Ok(Some(document));
        }
    }
    bail!("the seed has no member {MEMBER}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(name: &str, content: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_data(&mut header, name, content).unwrap();
        let mut bytes = archive.into_inner().unwrap();
        bytes.resize(usize::try_from(SIZE).unwrap(), 0);
        bytes
    }

    #[test]
    fn the_member_is_the_document() {
        assert_eq!(
            unpack(&seed("slapbox.toml", b"role")).unwrap().unwrap(),
            b"role"
        );
        assert_eq!(
            unpack(&seed("./slapbox.toml", b"role")).unwrap().unwrap(),
            b"role"
        );
    }

    #[test]
    fn zeros_are_an_empty_seed() {
        assert_eq!(unpack(&[0; 4096]).unwrap(), None);
        assert_eq!(unpack(&[]).unwrap(), None);
    }

    #[test]
    fn rubbish_is_told_from_an_empty_seed() {
        assert!(unpack(&[7; 4096]).is_err());
        let error = unpack(&seed("other.toml", b"role")).unwrap_err();
        assert_eq!(error.to_string(), "the seed has no member slapbox.toml");
    }
}
