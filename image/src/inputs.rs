//! What something is made from, as one hash: equal inputs need no second build.

use std::fs::File;
use std::io;

use anyhow::{Context, Result};
use camino::Utf8Path;
use sha2::{Digest, Sha256};

use crate::disk;

/// Named inputs, in the order they were added.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inputs(Vec<String>);

impl Inputs {
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.0.push(format!("{name} {}", sha256(text.as_bytes())));
    }

    /// Adds a file by its content and by whether it may be run.
    pub(crate) fn file(&mut self, name: &str, path: &Utf8Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let found =
            std::fs::symlink_metadata(path).with_context(|| format!("cannot look at `{path}`"))?;
        if found.is_symlink() {
            let target = path
                .read_link_utf8()
                .with_context(|| format!("cannot read the link `{path}`"))?;
            self.0.push(format!("{name} -> {target}"));
            return Ok(());
        }
        let run = found.permissions().mode() & 0o100 != 0;
        self.0.push(format!("{name} {} {run}", file_sha256(path)?));
        Ok(())
    }

    /// Adds all files below a folder.
    pub(crate) fn tree(&mut self, name: &str, folder: &Utf8Path) -> Result<()> {
        for file in disk::files(folder)? {
            self.file(&format!("{name}/{file}"), &folder.join(&file))?;
        }
        Ok(())
    }

    /// Returns whether this is what the key file was written for.
    pub(crate) fn matches(&self, key: &Utf8Path) -> bool {
        std::fs::read_to_string(key).is_ok_and(|found| found == self.render())
    }

    pub(crate) fn write(&self, key: &Utf8Path) -> Result<()> {
        disk::replace(key, self.render().as_bytes())
    }

    fn render(&self) -> String {
        self.0.iter().map(|line| format!("{line}\n")).collect()
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn file_sha256(path: &Utf8Path) -> Result<String> {
    let hash = || -> io::Result<String> {
        let mut hasher = Sha256::new();
        io::copy(&mut File::open(path)?, &mut hasher)?;
        Ok(hex(&hasher.finalize()))
    };
    hash().with_context(|| format!("cannot read `{path}`"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_a_changed_input() {
        let scratch = tempfile::tempdir().unwrap();
        let scratch = Utf8Path::from_path(scratch.path()).unwrap();
        let of = |scratch: &Utf8Path| {
            let mut inputs = Inputs::default();
            inputs.tree("sources", &scratch.join("sources")).unwrap();
            inputs
        };
        disk::replace(&scratch.join("sources/a"), b"one").unwrap();
        let key = scratch.join("key");
        assert!(!of(scratch).matches(&key));
        of(scratch).write(&key).unwrap();
        assert!(of(scratch).matches(&key));
        disk::replace(&scratch.join("sources/a"), b"two").unwrap();
        assert!(!of(scratch).matches(&key));
    }
}
