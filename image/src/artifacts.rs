//! What a build leaves: the image, its parts, the lock.

use std::process::Command;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::inputs::file_sha256;
use crate::{disk, exec};

/// The parts that two builds must have in common, from small to whole, so that the first difference says the most.
pub(crate) const PARTS: [(&str, &str); 5] = [
    ("/usr", "slapbox.usr.raw"),
    ("verity", "slapbox.verity.raw"),
    ("UKI", "slapbox.efi"),
    ("ESP", "slapbox.esp.raw"),
    ("image", "slapbox.raw"),
];

/// Files beside the parts.
const OTHERS: [&str; 2] = ["slapbox.manifest", "initrd.manifest"];

/// A finished image.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) raw: Utf8PathBuf,
    pub(crate) folder: Utf8PathBuf,
}

impl Built {
    pub(crate) fn at(folder: &Utf8Path) -> Self {
        Self {
            raw: folder.join("slapbox.raw"),
            folder: folder.to_owned(),
        }
    }

    /// Returns whether all files are there.
    pub(crate) fn is_complete(&self) -> bool {
        let parts = PARTS.iter().map(|(_, file)| *file);
        parts
            .chain(OTHERS)
            .chain(["packages.lock", "slapbox.raw.zst"])
            .all(|it| self.folder.join(it).is_file())
    }

    /// Takes the files from where mkosi put them.
    pub(crate) fn take(&self, from: &Utf8Path) -> Result<()> {
        for file in PARTS.iter().map(|(_, file)| *file).chain(OTHERS) {
            disk::rename(&from.join(file), &self.folder.join(file))?;
        }
        Ok(())
    }

    /// Compresses the image beside it.
    pub(crate) fn compress(&self, zstd: &mut Command) -> Result<()> {
        zstd.args(["-15", "--threads=0", "--force", "--quiet", "-o"]);
        zstd.arg(self.folder.join("slapbox.raw.zst")).arg(&self.raw);
        exec::ask(zstd).context("cannot compress the image")?;
        Ok(())
    }

    /// Returns the hash of each part, in the order of [`PARTS`].
    pub(crate) fn hashes(&self) -> Result<Vec<(&'static str, String)>> {
        PARTS
            .iter()
            .map(|(part, file)| Ok((*part, file_sha256(&self.folder.join(file))?)))
            .collect()
    }

    /// Returns the sizes that matter, in words.
    pub(crate) fn sizes(&self) -> Result<String> {
        let bytes = |file: &str| -> Result<u64> {
            let path = self.folder.join(file);
            Ok(path
                .metadata()
                .with_context(|| format!("cannot look at `{path}`"))?
                .len())
        };
        let mb = |bytes: u64| bytes as f64 / 1e6;
        Ok(format!(
            "{:.1} MB compressed, UKI {:.1} MB, /usr {:.1} MB",
            mb(bytes("slapbox.raw.zst")?),
            mb(bytes("slapbox.efi")?),
            mb(erofs_size(&self.folder.join("slapbox.usr.raw"))?)
        ))
    }
}

/// Reads from its superblock how much of the slot the file system takes.
fn erofs_size(path: &Utf8Path) -> Result<u64> {
    use std::os::unix::fs::FileExt;
    let read = || -> std::io::Result<[u8; 64]> {
        let mut block = [0; 64];
        std::fs::File::open(path)?.read_exact_at(&mut block, 1024)?;
        Ok(block)
    };
    let block = read().with_context(|| format!("cannot read `{path}`"))?;
    let blocks = u32::from_le_bytes([block[36], block[37], block[38], block[39]]);
    Ok(u64::from(blocks) << block[12])
}
