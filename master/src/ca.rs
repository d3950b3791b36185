//! The master's certificate authority: one P-256 key that signs computers, operators, the server itself and the time.
//! The key never leaves its folder; who gets which name is decided elsewhere, never taken from a request.

mod crl;
mod files;
mod issue;
mod request;
mod rotation;

use camino::Utf8PathBuf;
use rcgen::{Issuer, KeyPair, PublicKeyData, SigningKey};
use rustls::pki_types::CertificateDer;
use slap::join::CaPin;

pub use files::PREVIOUS;
pub use issue::{Issued, ServerCertificate, Style};
pub use request::{MadeKey, RequestError, SigningRequest, make_key, parse_request};
pub use rotation::{retire, rotate};

/// What signs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    /// There from a rotation until the end of the overlap.
    previous: Option<Previous>,
}

/// The authority before this one: who trusts it alone still believes this master, and whom it certified is still believed.
struct Previous {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    /// What the previous authority says of this one's key.
    vouched: CertificateDer<'static>,
}

/// What can be wrong with the authority.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    #[error("failed to read `{path}`")]
    FailedRead {
        path: Utf8PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("failed to write `{path}`")]
    FailedWrite {
        path: Utf8PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "the CA's key `{path}` is missing beside its certificate: restore it from a backup, since every box trusts that key alone"
    )]
    KeyMissing { path: Utf8PathBuf },
    #[error("the CA's file `{path}` is corrupted: restore it from a backup")]
    Corrupted {
        path: Utf8PathBuf,
        #[source]
        source: rcgen::Error,
    },
    #[error(
        "the CA's certificate `{path}` does not belong to its key: restore both from one backup"
    )]
    Mismatch { path: Utf8PathBuf },
    #[error("the CA follows another whose overlap is not over: `slapbox-master ca retire` ends it")]
    Overlapping,
    #[error("the CA follows none: there is nothing to retire")]
    NothingToRetire,
    #[error("failed to make a key")]
    FailedKey(#[from] RequestError),
    #[error("failed to sign")]
    FailedSign(#[source] rcgen::Error),
    #[error("`{0}` cannot be in a certificate")]
    BadName(String),
}

impl Authority {
    /// Returns the CA's certificate as PEM, before that of the CA that it follows, if there is one.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Returns the CA's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Returns the certificates that certificates of clients may be signed by.
    pub fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        let previous = self.previous.iter().map(|it| &it.certificate);
        std::iter::once(&self.certificate).chain(previous)
    }

    /// Returns what join blobs pin.
    pub fn pin(&self) -> CaPin {
        CaPin::of_spki(&self.issuer.key().subject_public_key_info())
    }

    /// Returns what join blobs pinned before the rotation whose overlap is not over.
    pub fn previous_pin(&self) -> Option<CaPin> {
        let previous = self.previous.as_ref()?;
        Some(CaPin::of_spki(
            &previous.issuer.key().subject_public_key_info(),
        ))
    }

    /// Says whether this is the authority of a pin, or the one that follows it.
    pub fn is_or_follows(&self, pin: &str) -> bool {
        let previous = self.previous_pin();
        [Some(self.pin()), previous]
            .iter()
            .flatten()
            .any(|it| it.to_string() == pin)
    }

    /// Returns the signature (ECDSA P-256, SHA-256, ASN.1) of `message`. The caller separates domains.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CaError> {
        self.issuer.key().sign(message).map_err(CaError::FailedSign)
    }

    /// Returns the previous authority's signature of `message`, if there is one.
    pub fn sign_as_previous(&self, message: &[u8]) -> Result<Option<Vec<u8>>, CaError> {
        let previous = self.previous.as_ref();
        previous
            .map(|it| it.issuer.key().sign(message))
            .transpose()
            .map_err(CaError::FailedSign)
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}
