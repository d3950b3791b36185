//! What this program reads in a certificate: whose key it is for and how long it counts.

use slap::join::CaPin;
use x509_parser::pem::Pem;
use x509_parser::prelude::X509Certificate;

/// A certificate of this box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate in PEM.
    pub pem: String,
    /// The SubjectPublicKeyInfo that it is for, in DER.
    pub public_key: Vec<u8>,
    /// First second in which it counts, since 1970.
    pub not_before: i64,
    /// Last second in which it counts.
    pub not_after: i64,
}

/// What keeps a certificate from being read.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// No PEM.
    #[error("it is not PEM")]
    NotPem(#[source] x509_parser::error::PEMError),
    /// No certificate in the PEM.
    #[error("there is no certificate in it")]
    NotX509(#[source] x509_parser::asn1_rs::Err<x509_parser::error::X509Error>),
    /// Nothing at all.
    #[error("it is empty")]
    Empty,
}

impl Certificate {
    /// Reads a certificate in PEM.
    pub fn parse(pem: String) -> Result<Self, CertificateError> {
        let (public_key, not_before, not_after) = with_first(&pem, |certificate| {
            let validity = certificate.validity();
            let public_key = certificate.public_key().raw.to_vec();
            (
                public_key,
                validity.not_before.timestamp(),
                validity.not_after.timestamp(),
            )
        })?;
        Ok(Self {
            pem,
            public_key,
            not_before,
            not_after,
        })
    }

    /// Whether it counts at `now`.
    pub fn counts_at(&self, now: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// When half of its life is over: the time to renew it.
    pub fn half_life(&self) -> i64 {
        self.not_before + (self.not_after - self.not_before) / 2
    }
}

/// The pins of a CA's certificates in PEM: one, or two while one CA follows another.
pub fn ca_pins(pem: &str) -> Result<Vec<CaPin>, CertificateError> {
    let pins = Pem::iter_from_buffer(pem.as_bytes())
        .map(|it| {
            let it = it.map_err(CertificateError::NotPem)?;
            let certificate = it.parse_x509().map_err(CertificateError::NotX509)?;
            Ok(CaPin::of_spki(certificate.public_key().raw))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if pins.is_empty() {
        return Err(CertificateError::Empty);
    }
    Ok(pins)
}

fn with_first<T>(
    pem: &str,
    read: impl FnOnce(&X509Certificate<'_>) -> T,
) -> Result<T, CertificateError> {
    let first = Pem::iter_from_buffer(pem.as_bytes())
        .next()
        .ok_or(CertificateError::Empty)?;
    let first = first.map_err(CertificateError::NotPem)?;
    let certificate = first.parse_x509().map_err(CertificateError::NotX509)?;
    Ok(read(&certificate))
}
