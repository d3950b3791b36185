//! The bench's own files: scratch of a run, which a power cut may spoil. Nothing of the product is written here.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

/// Writes a file of the bench.
#[expect(
    clippy::disallowed_methods,
    reason = "scratch of one run, not the product's state"
)]
pub fn put(path: &Utf8Path, contents: impl AsRef<[u8]>) -> Result<()> {
    std::fs::write(path, contents).with_context(|| format!("cannot write {path}"))
}

/// Makes an empty folder, without what lay there before.
pub fn empty_folder(path: &Utf8Path) -> Result<()> {
    if path.exists() {
        std::fs::remove_dir_all(path).with_context(|| format!("cannot empty {path}"))?;
    }
    std::fs::create_dir_all(path).with_context(|| format!("cannot create {path}"))
}

/// A path as text.
pub fn utf8(path: PathBuf) -> Result<Utf8PathBuf> {
    Utf8PathBuf::from_path_buf(path)
        .map_err(|path| anyhow::anyhow!("{} is not UTF-8", path.display()))
}
