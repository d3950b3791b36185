//! Images that a box takes only with a signature, and what lies where their signatures should.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};

use super::*;
use crate::software::PublicKey;

/// Signs as cosign does, and puts it where cosign would.
fn sign(registry: &Registry, kind: &str, digest: &str, key: &KeyPair) {
    let document = serde_json::json!({
        "critical": {
            "type": "cosign container image signature",
            "identity": { "docker-reference": "" },
            "image": { "docker-manifest-digest": digest },
        },
        "optional": null,
    });
    let document = document.to_string().into_bytes();
    let scheme = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let pair = EcdsaKeyPair::from_pkcs8(scheme, &key.serialize_der()).unwrap();
    let signature = pair.sign(&SystemRandom::new(), &document).unwrap();
    let mut extra = registry.extra.lock().unwrap();
    let size = document.len();
    let layer = serde_json::json!({
        "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
        "digest": put(&mut extra, document), "size": size,
        "annotations": { "dev.cosignproject.cosign/signature": STANDARD.encode(signature) },
    });
    let manifest = serde_json::json!({ "schemaVersion": 2, "layers": [layer] });
    extra.insert(kind.to_owned(), manifest.to_string().into_bytes());
}

#[tokio::test]
async fn a_box_with_keys_takes_only_what_one_of_them_signed() {
    let registry = Registry::open().await;
    let [ours, other] = [(); 2].map(|()| KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap());
    sign(&registry, "signed", &registry.manifest, &ours);
    sign(&registry, "forged", &registry.manifest, &other);
    sign(&registry, "elsewhere", &registry.index, &ours);
    registry
        .extra
        .lock()
        .unwrap()
        .insert("garbled".to_owned(), b"<html>".to_vec());
    let key = |pair: &KeyPair| PublicKey::parse(&pair.public_key_pem()).unwrap();
    let third = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let fetcher = registry.fetcher().believing(vec![key(&third), key(&ours)]);
    let (_keep, folder) = software();
    let unsigned = "failed to pull it: it is not signed as this box wants it: ";
    for (rest, expected) in [
        ("signed/demo", None),
        ("open/demo", Some("it has no signature")),
        ("forged/demo", Some("none of its 1 signatures is by a key")),
        ("elsewhere/demo", Some("what was signed is another image")),
        (
            "garbled/demo",
            Some("failed to understand its signatures: "),
        ),
    ] {
        let (workshop, turns) = (workshop().await, Turns::default());
        let url = registry.url(rest);
        let installed =
            super::super::super::install(&fetcher, &workshop, &turns, &folder, &url).await;
        match (installed, expected) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) => {
                let words = words(error);
                assert!(
                    words.starts_with(&format!("{unsigned}{expected}")),
                    "{rest}: {words}"
                );
                assert!(!directory(&folder, &url).exists(), "{rest}");
            }
            (installed, _) => panic!("{rest}: {:?}", installed.map_err(words)),
        }
    }
}
