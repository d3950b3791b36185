//! What is issued binds key, computer and prefix, as other programs read it.

use std::process::Command;

use camino::Utf8Path;
use time::OffsetDateTime;
use time::macros::datetime;
use x509_parser::oid_registry::Oid;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::GeneralName;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

fn moment() -> Moment {
    Moment {
        now: NOW,
        serial: [0xff; 16],
    }
}

fn issued(folder: &Utf8Path) -> (String, String) {
    let store = Store::open(folder).unwrap();
    let authority =
        Authority::open(&store, "fd12:3456:789a::/48".parse().unwrap(), moment()).unwrap();
    let key = KeyPair::generate().unwrap();
    let csr = CertificateParams::default()
        .serialize_request(&key)
        .unwrap()
        .pem()
        .unwrap();
    let key = check(&csr).unwrap();
    let computer = "COMP-2".parse().unwrap();
    let certificate = authority
        .issue(
            &key,
            &computer,
            "fd12:3456:789a:2::/64".parse().unwrap(),
            moment(),
        )
        .unwrap();
    (certificate, authority.certificate().to_owned())
}

#[test]
fn a_certificate_says_who_has_which_prefix_for_a_week() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, ca) = issued(Utf8Path::from_path(folder.path()).unwrap());
    let (_, ca) = parse_x509_pem(ca.as_bytes()).unwrap();
    let ca = ca.parse_x509().unwrap();
    let (_, pem) = parse_x509_pem(certificate.as_bytes()).unwrap();
    let certificate = pem.parse_x509().unwrap();

    certificate.verify_signature(Some(ca.public_key())).unwrap();
    assert_eq!(certificate.subject().to_string(), "CN=COMP-2");
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    assert_eq!(
        names.value.general_names,
        [GeneralName::URI("urn:slapbox:computer:COMP-2")]
    );
    assert_eq!(
        certificate.validity().not_after.to_datetime(),
        NOW + LIFETIME
    );
    assert!(certificate.validity().not_before.to_datetime() < NOW);
    assert!(!certificate.is_ca() && ca.is_ca());

    let oid = Oid::from(OID).unwrap();
    let blocks = certificate.get_extension_unique(&oid).unwrap().unwrap();
    assert!(blocks.critical);
    assert_eq!(
        blocks.value,
        ip_addr_blocks("fd12:3456:789a:2::/64".parse().unwrap())
    );
    let whole = ca.get_extension_unique(&oid).unwrap().unwrap();
    assert_eq!(
        whole.value,
        ip_addr_blocks("fd12:3456:789a::/48".parse().unwrap())
    );
}

#[test]
fn openssl_reads_the_prefix_and_verifies_the_chain() {
    if Command::new("openssl").arg("version").output().is_err() {
        skip("openssl is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(folder.path()).unwrap();
    let (certificate, _) = issued(folder);
    let path = folder.join("certificate.pem");
    crate::disk::replace(&path, crate::disk::Access::Public, certificate.as_bytes()).unwrap();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)
    };
    let text = openssl(&["x509", "-noout", "-text", "-in", path.as_str()]);
    assert!(text.contains("fd12:3456:789a:2::/64"), "{text}");
    let ca = folder.join("ca/certificate.pem");
    let at = NOW.unix_timestamp().to_string();
    let verdict = openssl(&[
        "verify",
        "-attime",
        &at,
        "-CAfile",
        ca.as_str(),
        path.as_str(),
    ]);
    assert!(verdict.ends_with(": OK\n"), "{verdict}");
}

#[test]
fn the_authority_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(folder.path()).unwrap();
    assert_eq!(issued(path).1, issued(path).1);
}

#[test]
fn what_is_no_request_is_refused() {
    assert!(check("").is_err());
    let key = KeyPair::generate().unwrap();
    let csr = CertificateParams::default()
        .serialize_request(&key)
        .unwrap()
        .pem()
        .unwrap();
    // The last line but one holds the signature.
    let mut lines: Vec<_> = csr.lines().map(str::to_owned).collect();
    let line = lines.len() - 2;
    let other = if lines[line].starts_with('A') {
        "B"
    } else {
        "A"
    };
    lines[line].replace_range(0..1, other);
    assert!(
        check(&lines.join("\n")).is_err(),
        "a request that its key did not sign"
    );
}

#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
}
