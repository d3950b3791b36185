//! What computers offer to others of their project, before any of it is believed: entries, whose signature they have, and which of
//! them go when there is no more room. Pure.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use slap::v1::{CACHE_VERSION, CacheEntry};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

/// A point of P-256, uncompressed.
const POINT: usize = 65;
const LABEL: &str = "PUBLIC KEY";

/// The key by which a computer signs what it built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferKey(Vec<u8>);

/// What is wrong with an offer.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    #[error("this is no ECDSA key on P-256 in PEM")]
    NotAKey,
    #[error("the entry or its signature is no base64")]
    NotBase64,
    #[error("the entry cannot be understood")]
    Unreadable(#[source] serde_json::Error),
    #[error("the entry is of version {0}, which this master does not know")]
    OtherVersion(u32),
    #[error("the entry is not signed by the key that its computer has announced")]
    NotSigned,
}

/// An entry that its computer has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    pub entry: CacheEntry,
    /// The bytes that are signed.
    pub text: String,
    /// In base64.
    pub signature: String,
}

impl OfferKey {
    /// Reads a key in PEM.
    pub fn parse(pem: &str) -> Result<Self, OfferError> {
        let not = |_| OfferError::NotAKey;
        let (_, pem) = parse_x509_pem(pem.as_bytes()).map_err(not)?;
        let (rest, info) = SubjectPublicKeyInfo::from_der(&pem.contents)
            .map_err(|_: x509_parser::nom::Err<_>| OfferError::NotAKey)?;
        let point = info.subject_public_key.data.into_owned();
        // No other kind of key has so many bytes that begin so.
        let is_point = point.len() == POINT && point[0] == 4;
        (pem.label == LABEL && rest.is_empty() && is_point)
            .then_some(Self(point))
            .ok_or(OfferError::NotAKey)
    }
}

impl Signed {
    /// Reads what the headers of an upload say, and holds that the key has signed it.
    pub fn parse(entry: &str, signature: &str, key: &OfferKey) -> Result<Self, OfferError> {
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| OfferError::NotBase64);
        let bytes = decode(entry)?;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &key.0);
        key.verify(&bytes, &decode(signature)?)
            .map_err(|_| OfferError::NotSigned)?;
        let entry: CacheEntry = serde_json::from_slice(&bytes).map_err(OfferError::Unreadable)?;
        if entry.version != CACHE_VERSION {
            return Err(OfferError::OtherVersion(entry.version));
        }
        Ok(Self {
            entry,
            text: String::from_utf8(bytes).map_err(|_| OfferError::NotBase64)?,
            signature: signature.to_owned(),
        })
    }
}

/// Returns how many of those that were used longest ago, which come first, have to go so that another one finds room.
pub fn leaving(sizes: &[u64], size: u64, room: u64) -> usize {
    let mut all: u64 = sizes.iter().fold(size, |sum, it| sum.saturating_add(*it));
    let mut count = 0;
    while all > room && count < sizes.len() {
        all -= sizes[count];
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_used_longest_ago_go_and_no_more_than_have_to() {
        for (sizes, size, room, count) in [
            (&[][..], 5, 10, 0),
            (&[5], 5, 10, 0),
            (&[1, 5], 5, 10, 1),
            (&[3, 3, 3], 4, 10, 1),
            (&[3, 3, 3], 10, 10, 3),
            (&[1, 1], 11, 10, 2),
        ] {
            assert_eq!(leaving(sizes, size, room), count, "{sizes:?} {size}");
        }
    }

    #[test]
    fn a_key_is_a_public_one_on_p256() {
        let ours = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        OfferKey::parse(&ours.public_key_pem()).unwrap();
        let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        for text in ["", "key", &other.public_key_pem(), &ours.serialize_pem()] {
            assert!(OfferKey::parse(text).is_err(), "{text}");
        }
    }
}
