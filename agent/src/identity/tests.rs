//! Keys that stay, certificates that fit them, and what is refused.

use super::*;
use camino::Utf8PathBuf;
use rcgen::{CertificateParams, Issuer, KeyPair};
use std::os::unix::fs::PermissionsExt as _;

fn issued(key: &Key) -> (String, String) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let mut request =
        rcgen::CertificateSigningRequestParams::from_pem(&key.request().unwrap()).unwrap();
    request.params.not_before = rcgen::date_time_ymd(2026, 11, 1);
    request.params.not_after = rcgen::date_time_ymd(2026, 11, 9);
    let certificate = request
        .signed_by(&Issuer::from_params(&ca, &ca_key))
        .unwrap();
    (certificate.pem(), ca_pem)
}

fn master() -> MasterFile {
    MasterFile {
        urls: vec!["https://192.0.2.1".into()],
        reference: "COMP-2".into(),
        overlay: OverlayFile {
            port: 6326,
            endpoint: None,
        },
        proxy: None,
    }
}

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().join("identity")).unwrap();
    (folder, path)
}

#[test]
fn a_key_is_made_once_and_is_private() {
    let (_keep, folder) = folder();
    let key = load_or_make_key(&folder).unwrap();
    assert_eq!(load_or_make_key(&folder).unwrap().reveal(), key.reveal());
    let mode = std::fs::metadata(folder.join(KEY))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(format!("{key:?}"), format!("Key({})", key.code()));
}

#[test]
fn an_identity_comes_back_as_it_was_kept() {
    let (_keep, folder) = folder();
    let key = load_or_make_key(&folder).unwrap();
    assert!(
        load(&folder).unwrap().is_none(),
        "a key alone is no identity"
    );
    let (certificate, ca) = issued(&key);
    let identity = assemble(key, certificate, ca, master()).unwrap();
    store(&folder, &identity).unwrap();
    let loaded = load(&folder).unwrap().unwrap();
    assert_eq!(loaded.certificate, identity.certificate);
    assert_eq!(loaded.pins, identity.pins);
    assert_eq!(loaded.master, master());
}

#[test]
fn a_certificate_for_another_key_is_refused() {
    let (certificate, ca) = issued(&Key::make().unwrap());
    let error = assemble(Key::make().unwrap(), certificate, ca, master()).unwrap_err();
    assert_eq!(error.to_string(), "the certificate is for another key");
}

#[test]
fn half_of_a_certificates_life_is_half_of_it() {
    let key = Key::make().unwrap();
    let certificate = Certificate::parse(issued(&key).0).unwrap();
    assert_eq!(certificate.half_life(), certificate.not_before + 4 * 86_400);
    assert!(certificate.counts_at(certificate.half_life()));
    assert!(!certificate.counts_at(certificate.not_after + 1));
}
