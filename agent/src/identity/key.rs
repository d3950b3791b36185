//! The box's key: ECDSA P-256, made here, synced before its first use, readable by its owner only.

use std::fmt;

use camino::Utf8Path;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PublicKeyData as _, SigningKey as _};
use slap::comparison_code;

use super::{Error, KEY};
use crate::disk;

/// The key. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Key {
    pem: String,
    public_pem: String,
    public_key: Vec<u8>,
}

/// What keeps a key from being used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Making one.
    #[error("failed to make a key")]
    Make(#[source] rcgen::Error),
    /// Reading one.
    #[error("failed to read the key")]
    Read(#[source] rcgen::Error),
    /// Signing with it.
    #[error("failed to sign")]
    Sign(#[source] rcgen::Error),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.code())
    }
}

impl Key {
    /// Makes a key from the system's randomness.
    pub fn make() -> Result<Self, KeyError> {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(KeyError::Make)?;
        Ok(Self {
            pem: pair.serialize_pem(),
            public_pem: pair.public_key_pem(),
            public_key: pair.subject_public_key_info(),
        })
    }

    /// Reads a key in PEM.
    pub fn parse(pem: &str) -> Result<Self, KeyError> {
        let pair = KeyPair::from_pem(pem).map_err(KeyError::Read)?;
        Ok(Self {
            pem: pem.to_owned(),
            public_pem: pair.public_key_pem(),
            public_key: pair.subject_public_key_info(),
        })
    }

    /// The key in PEM: for TLS and for the key's own file, for nobody else.
    pub fn reveal(&self) -> &str {
        &self.pem
    }

    /// Its SubjectPublicKeyInfo in DER.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Its public half in PEM.
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// Signs a document: ECDSA on P-256 with SHA-256, in ASN.1.
    pub fn sign(&self, document: &[u8]) -> Result<Vec<u8>, KeyError> {
        let pair = KeyPair::from_pem(&self.pem).map_err(KeyError::Read)?;
        pair.sign(document).map_err(KeyError::Sign)
    }

    /// What people compare before they approve the box.
    pub fn code(&self) -> String {
        comparison_code(&self.public_key)
    }

    /// A request for a certificate, in PEM. It asks for no name: the master gives one.
    pub fn request(&self) -> Result<String, KeyError> {
        let pair = KeyPair::from_pem(&self.pem).map_err(KeyError::Read)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&pair).map_err(KeyError::Sign)?;
        request.pem().map_err(KeyError::Sign)
    }
}

/// The key of this box; made and synced if there is none yet. One that cannot be read is set aside.
pub fn load_or_make_key(folder: &Utf8Path) -> Result<Key, Error> {
    disk::private_folder(folder)?;
    let path = folder.join(KEY);
    if let Some(pem) = disk::read_text(&path)? {
        match Key::parse(&pem) {
            Ok(key) => return Ok(key),
            Err(error) => {
                let aside = disk::set_aside(&path)?;
                tracing::error!(
                    "the key of this box cannot be read, it is kept as {aside}: {error}"
                );
            }
        }
    }
    let key = Key::make().map_err(Error::Key)?;
    disk::replace_private(&path, key.reveal().as_bytes())?;
    Ok(key)
}
