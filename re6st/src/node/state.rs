//! The node's own folder: its keys, which never leave it, and the last document.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;

use aws_lc_rs::agreement::{self, X25519};
use aws_lc_rs::rand;
use camino::{Utf8Path, Utf8PathBuf};
use rcgen::{CertificateParams, KeyPair};
use slapbox_overlay::keys::{KEY_LENGTH, NotAKey, PrivateKey, PublicKey};

use super::Error;
use super::document::Document;
use crate::disk::{self, Access};

/// What can go wrong with keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be used.
    #[error("failed to keep a key")]
    Disk(#[source] disk::Error),
    /// The WireGuard key's file is damaged.
    #[error("failed to parse the WireGuard key")]
    WireGuard(#[source] NotAKey),
    /// The key of the overlay certificate is damaged, or cannot be made.
    #[error("failed to make or parse the overlay key")]
    Overlay(#[source] rcgen::Error),
    /// The machine has no randomness, or a key is not one.
    #[error("failed to compute a key")]
    Computation,
}

/// The node's keys.
#[derive(Debug)]
pub(super) struct Keys {
    /// WireGuard's.
    pub(super) wireguard: PrivateKey,
    /// What others know of it.
    pub(super) wireguard_public: PublicKey,
    /// The certificate's.
    overlay: KeyPair,
}

/// The node's folder.
#[derive(Debug)]
pub(super) struct State {
    folder: Utf8PathBuf,
    keys: Keys,
}

impl State {
    /// Opens the folder, making it and the keys at the first start.
    pub(super) fn open(folder: &Utf8Path) -> Result<Self, Error> {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder);
        made.map_err(Error::Folders)?;
        let keys = load_keys(folder).map_err(Error::Keys)?;
        Ok(Self {
            folder: folder.to_owned(),
            keys,
        })
    }

    /// Returns the node's keys.
    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Returns the last document; one that does not parse is set aside, for the registry has another.
    pub(super) fn document(&self) -> Result<Option<Document>, disk::Error> {
        let path = self.folder.join("document.json");
        match disk::load(&path) {
            Err(err @ (disk::Error::Parse { .. } | disk::Error::Version { .. })) => {
                let aside = self.folder.join("document.json.bad");
                tracing::error!(error = &err as &dyn std::error::Error, %aside, "the last document is set aside");
                fs::rename(&path, &aside).map_err(|source| disk::Error::Write {
                    path: aside,
                    source,
                })?;
                Ok(None)
            }
            loaded => loaded,
        }
    }

    /// Keeps the document, and the certificates in it where others look for them.
    pub(super) fn save_document(&self, document: &Document) -> Result<(), disk::Error> {
        let file = |name: &str| self.folder.join(name);
        disk::replace(
            &file("certificate.pem"),
            Access::Public,
            document.joined.certificate.as_bytes(),
        )?;
        disk::replace(
            &file("ca.pem"),
            Access::Public,
            document.joined.ca.as_bytes(),
        )?;
        disk::save(&file("document.json"), Access::Private, document)
    }
}

impl Keys {
    /// Returns a request for a certificate of the overlay key, PEM.
    pub(super) fn signing_request(&self) -> Result<String, KeyError> {
        let request = CertificateParams::default().serialize_request(&self.overlay);
        request
            .and_then(|request| request.pem())
            .map_err(KeyError::Overlay)
    }
}

fn load_keys(folder: &Utf8Path) -> Result<Keys, KeyError> {
    let make = || {
        let mut bytes = [0; KEY_LENGTH];
        rand::fill(&mut bytes).map_err(|_| KeyError::Computation)?;
        Ok(PrivateKey::new(bytes).reveal_text())
    };
    let wireguard: PrivateKey = load_or_make(&folder.join("wireguard.key"), make)?
        .parse()
        .map_err(KeyError::WireGuard)?;
    let make = || {
        KeyPair::generate()
            .map(|key| key.serialize_pem())
            .map_err(KeyError::Overlay)
    };
    let overlay = KeyPair::from_pem(&load_or_make(&folder.join("key.pem"), make)?)
        .map_err(KeyError::Overlay)?;
    let wireguard_public = public_of(&wireguard)?;
    Ok(Keys {
        wireguard,
        wireguard_public,
        overlay,
    })
}

fn load_or_make(
    path: &Utf8Path,
    make: impl FnOnce() -> Result<String, KeyError>,
) -> Result<String, KeyError> {
    if let Some(text) = disk::read(path).map_err(KeyError::Disk)? {
        return Ok(text);
    }
    let text = make()?;
    disk::replace(path, Access::Private, text.as_bytes()).map_err(KeyError::Disk)?;
    Ok(text)
}

fn public_of(key: &PrivateKey) -> Result<PublicKey, KeyError> {
    let key = agreement::PrivateKey::from_private_key(&X25519, key.reveal())
        .map_err(|_| KeyError::Computation)?;
    let public = key
        .compute_public_key()
        .map_err(|_| KeyError::Computation)?;
    let bytes = public
        .as_ref()
        .try_into()
        .map_err(|_| KeyError::Computation)?;
    Ok(PublicKey(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_key_is_the_one_that_wireguard_computes() {
        // Alice's keys of RFC 7748, 6.1.
        let private = PrivateKey::new(*b"\x77\x07\x6d\x0a\x73\x18\xa5\x7d\x3c\x16\xc1\x72\x51\xb2\x66\x45\xdf\x4c\x2f\x87\xeb\xc0\x99\x2a\xb1\x77\xfb\xa5\x1d\xb9\x2c\x2a");
        let public = PublicKey(*b"\x85\x20\xf0\x09\x89\x30\xa7\x54\x74\x8b\x7d\xdc\xb4\x3e\xf7\x5a\x0d\xbf\x3a\x0d\x26\x38\x1a\xf4\xeb\xa4\xa9\x8e\xaa\x9b\x4e\x6a");
        assert_eq!(public_of(&private).unwrap(), public);
    }

    #[test]
    fn keys_are_made_once_and_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap();
        let first = State::open(path).unwrap();
        let second = State::open(path).unwrap();
        assert_eq!(first.keys.wireguard, second.keys.wireguard);
        for name in ["wireguard.key", "key.pem"] {
            let mode = fs::metadata(path.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_damaged_document_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap();
        let state = State::open(path).unwrap();
        disk::replace(&path.join("document.json"), Access::Private, b"{ half").unwrap();
        assert!(state.document().unwrap().is_none());
        assert!(path.join("document.json.bad").exists());
    }
}
