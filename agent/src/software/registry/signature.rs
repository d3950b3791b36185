//! Whether an image was signed by somebody whom this box believes: cosign's signatures, which lie in the registry beside the
//! image, at the tag `sha256-DIGEST.sig`. Each is a small document that names the image's digest, and a signature of that
//! document by an ECDSA key on P-256, as `cosign generate-key-pair` makes it.
//! Source: cosign's specs/SIGNATURE_SPEC.md.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use serde::Deserialize;

use super::{LONGEST_TOKEN, Registry, RegistryError, body};
use crate::software::archive::{self, Descriptor, Digest};
use crate::software::public_key::PublicKey;

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

/// Holds that what has this digest is signed by one of the keys.
pub(super) async fn check(
    registry: &Registry<'_>,
    image: Digest,
    keys: &[PublicKey],
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
