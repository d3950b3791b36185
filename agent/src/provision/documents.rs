//! Which documents a box has had: one that another has replaced is passed over, since some channels cannot be erased and
//! would bring it back at each boot. Knows documents by their digest only.

use anyhow::Context as _;
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::disk;
use crate::places::Places;

/// More were never handed to a box without a reset in between.
const MOST: usize = 32;

/// `documents.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Documents {
    version: u32,
    accepted: String,
    replaced: Vec<String>,
}

impl Documents {
    /// Reads what is known. A file that does not parse is set aside.
    pub(super) fn load(places: &Places) -> Self {
        let load = || -> anyhow::Result<Self> {
            let path = path(places);
            let Some(json) = disk::read(&path)? else {
                return Ok(Self::default());
            };
            serde_json::from_slice(&json)
                .or_else(|error| {
                    disk::set_aside(&path)?;
                    Err(error.into())
                })
                .and_then(|known: Self| match known.version {
                    1 => Ok(known),
                    other => anyhow::bail!("it is of version {other}"),
                })
                .with_context(|| format!("`{path}` cannot be read"))
        };
        load().unwrap_or_else(|error: anyhow::Error| {
            tracing::error!("{error:#}");
            Self::default()
        })
    }

    /// Whether another document has replaced this one.
    pub(super) fn has_replaced(&self, document: &[u8]) -> bool {
        self.replaced.contains(&digest(document))
    }

    /// The same with another document accepted.
    pub(super) fn accepting(mut self, document: &[u8]) -> Self {
        let new = digest(document);
        let before = std::mem::replace(&mut self.accepted, new.clone());
        if !before.is_empty() && before != new {
            self.replaced.push(before);
        }
        self.replaced.retain(|digest| *digest != new);
        let surplus = self.replaced.len().saturating_sub(MOST);
        self.replaced.drain(..surplus);
        Self { version: 1, ..self }
    }

    /// Keeps what is known.
    pub(super) fn store(&self, places: &Places) -> anyhow::Result<()> {
        Ok(disk::replace_private(
            &path(places),
            &serde_json::to_vec_pretty(self)?,
        )?)
    }
}

fn path(places: &Places) -> Utf8PathBuf {
    places.state().join("documents.json")
}

fn digest(document: &[u8]) -> String {
    Sha256::digest(document)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_document_does_not_come_back_by_itself() {
        let known = Documents::default().accepting(b"one").accepting(b"two");
        assert!(known.has_replaced(b"one"));
        assert!(!known.has_replaced(b"two"));
        assert_eq!(
            known.clone().accepting(b"two"),
            known,
            "the same again changes nothing"
        );
        let back = known.accepting(b"one");
        assert!(!back.has_replaced(b"one"), "but a person may bring it back");
        assert!(back.has_replaced(b"two"));
    }

    #[test]
    fn what_is_known_is_kept_and_never_grows_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        let places = Places::under(&root);
        std::fs::create_dir_all(places.state()).unwrap();
        let mut known = Documents::load(&places);
        for number in 0..200_u32 {
            known = known.accepting(&number.to_be_bytes());
        }
        known.store(&places).unwrap();
        assert_eq!(Documents::load(&places), known);
        assert_eq!(known.replaced.len(), MOST);
        disk::replace(&path(&places), b"{").unwrap();
        assert_eq!(Documents::load(&places), Documents::default());
    }
}
