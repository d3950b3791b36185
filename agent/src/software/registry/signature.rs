//! Whether an image was signed by somebody whom this box believes: cosign's signatures, which lie in the registry beside the
//! image, at the tag `sha256-DIGEST.sig`. Each is a small document that names the image's digest, and a signature of that
//! document by an ECDSA key on P-256, as `cosign generate-key-pair` makes it.
//! Source: cosign's specs/SIGNATURE_SPEC.md.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use serde::Deserialize;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{LONGEST_TOKEN, Registry, RegistryError, body};
use crate::software::archive::{self, Descriptor, Digest};

/// A public key whose owner is believed.
#[derive(Clone, PartialEq, Eq)]
pub struct ImageKey(Vec<u8>);

/// A text that is no key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("it is no ECDSA key on P-256 in PEM, as in cosign.pub")]
pub struct NotAKey;

/// An image is not signed as this box wants it.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    #[error("it has no signature")]
    None,
    #[error("failed to understand its signatures")]
    Document(#[source] serde_json::Error),
    #[error("none of its {0} signatures is by a key of this box's `image_keys`")]
    Strangers(usize),
    #[error("what was signed is another image")]
    Other,
}

const ANNOTATION: &str = "dev.cosignproject.cosign/signature";
const KIND: &str = "cosign container image signature";
/// Of more, nobody needs to look at all.
const MOST_SIGNATURES: usize = 32;
const LABEL: &str = "PUBLIC KEY";
/// A point of P-256, uncompressed.
const POINT: usize = 65;

#[derive(Deserialize)]
struct Signatures {
    layers: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    #[serde(flatten)]
    document: Descriptor,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    #[serde(rename = "type")]
    kind: String,
    image: Image,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: Digest,
}

impl ImageKey {
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

    fn signed(&self, document: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0);
        key.verify(document, signature).is_ok()
    }
}

impl std::fmt::Debug for ImageKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ImageKey")
    }
}

/// Holds that what has this digest is signed by one of the keys.
pub(super) async fn check(
    registry: &Registry<'_>,
    image: Digest,
    keys: &[ImageKey],
) -> Result<(), RegistryError> {
    let tag = image.to_string().replace(':', "-") + ".sig";
    let text = match registry.manifest(&tag).await {
        Err(RegistryError::Status { status, .. }) if status == StatusCode::NOT_FOUND => {
            return Err(RegistryError::Signature(SignatureError::None));
        }
        text => text?,
    };
    let signatures: Signatures = understand(&text)?;
    let mut others = false;
    for signature in signatures.layers.iter().take(MOST_SIGNATURES) {
        let Some(bytes) = signature.annotations.get(ANNOTATION) else {
            continue;
        };
        let bytes = STANDARD.decode(bytes).unwrap_or_default();
        let document = document(registry, &signature.document).await?;
        if !keys.iter().any(|key| key.signed(&document, &bytes)) {
            continue;
        }
        let Payload { critical } = understand(&document)?;
        if critical.kind == KIND && critical.image.docker_manifest_digest == image {
            return Ok(());
        }
        others = true;
    }
    Err(RegistryError::Signature(match others {
        true => SignatureError::Other,
        false => SignatureError::Strangers(signatures.layers.len()),
    }))
}

async fn document(registry: &Registry<'_>, wanted: &Descriptor) -> Result<Vec<u8>, RegistryError> {
    const WHAT: &str = "signature";
    let url = registry.url(&format!("blobs/{}", wanted.digest))?;
    let response = registry.ask(WHAT, url, 0).await?;
    let text = body(WHAT, response, LONGEST_TOKEN).await?;
    archive::check(&text, wanted.digest).map_err(RegistryError::Image)?;
    Ok(text)
}

fn understand<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, RegistryError> {
    let understood = serde_json::from_slice(text);
    understood.map_err(|source| RegistryError::Signature(SignatureError::Document(source)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_that_cosign_makes() {
        let ours = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        ImageKey::parse(&ours.public_key_pem()).unwrap();
        let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        for text in [
            "",
            "cosign.pub",
            &other.public_key_pem(),
            &ours.serialize_pem(),
        ] {
            assert_eq!(ImageKey::parse(text), Err(NotAKey), "{text}");
        }
    }
}
