//! A public key whose owner is believed: ECDSA on P-256, as `cosign generate-key-pair` makes it. Images are signed by such keys, and
//! built releases in the cache.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

/// A public key whose owner is believed.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

/// A text that is no key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("it is no ECDSA key on P-256 in PEM, as in cosign.pub")]
pub struct NotAKey;

const LABEL: &str = "PUBLIC KEY";
/// A point of P-256, uncompressed.
const POINT: usize = 65;

impl PublicKey {
    /// Reads a key in PEM.
    pub fn parse(text: &str) -> Result<Self, NotAKey> {
        let (_, pem) = parse_x509_pem(text.as_bytes()).map_err(|_| NotAKey)?;
        let (rest, info) = SubjectPublicKeyInfo::from_der(&pem.contents).map_err(|_| NotAKey)?;
        let point = info.subject_public_key.data.into_owned();
        // No other kind of key has so many bytes that begin so.
        let is_point = point.len() == POINT && point[0] == 4;
        (pem.label == LABEL && rest.is_empty() && is_point)
            .then_some(Self(point))
            .ok_or(NotAKey)
    }

    /// Says whether this key has signed a document: ASN.1, of its SHA-256.
    pub(super) fn signed(&self, document: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0);
        key.verify(document, signature).is_ok()
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PublicKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_that_cosign_makes() {
        let ours = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        PublicKey::parse(&ours.public_key_pem()).unwrap();
        let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        for text in [
            "",
            "cosign.pub",
            &other.public_key_pem(),
            &ours.serialize_pem(),
        ] {
            assert_eq!(PublicKey::parse(text), Err(NotAKey), "{text}");
        }
    }
}
