//! Bridges as reviewed, and what is said of those that cannot be.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};

use super::*;
use crate::causes::in_one_line;
use crate::desired::PartitionName;
use crate::instances::limits::Limits;
use crate::partitions::users::Ids;

fn place(directory: &str) -> Place {
    Place {
        partition: PartitionName::new(7),
        ids: Ids {
            uid: 20_007,
            gid: 20_007,
        },
        directory: directory.into(),
        ipv6: Some("fd12:3456:789a:1::9".parse().unwrap()),
        ipv4: Some("10.0.0.9".parse().unwrap()),
        folders: Vec::new(),
        devices: Vec::new(),
        limits: Limits::default(),
        project: None,
    }
}

fn text(properties: &[Property]) -> String {
    let lines = properties.iter().map(|one| {
        let kind = zbus::OwnedVariant::from(&one.value);
        format!("{one} ({})", kind.value_signature())
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn name() -> ProgramName {
    ProgramName::new("web").unwrap()
}

#[test]
fn its_units_are_made_as_reviewed() {
    let place = place("/srv/slapgrid/slappart7");
    let mut bridge = Bridge {
        listen: "[fd12:3456:789a:1::9]:443".parse().unwrap(),
        to: "10.0.0.9:8080".parse().unwrap(),
        tls: None,
        network: None,
    };
    let as_what = Fingerprint::new("0123456789abcdef");
    insta::assert_snapshot!("socket", text(&socket(&place, &name(), &bridge, &as_what)));
    let plain = service(&place, &name(), &bridge);
    insta::assert_snapshot!("service", text(&plain));
    let other = |all: Vec<Property>| {
        let own = all.into_iter().filter(|one| !plain.contains(one));
        text(&own.collect::<Vec<_>>())
    };
    bridge.tls = Some(Pair {
        certificate: "/srv/slapgrid/slappart7/etc/web.crt".into(),
        key: "/srv/slapgrid/slappart7/etc/web.key".into(),
    });
    insta::assert_snapshot!("with_tls", other(service(&place, &name(), &bridge)));
    bridge.tls = None;
    bridge.network = Some("/proc/12/ns/net".into());
    let apart = other(service(&place, &name(), &bridge));
    assert_eq!(apart, "NetworkNamespacePath=/proc/12/ns/net (s)");
}

/// A partition with files, a pair of them a certificate and its key, and a key that is none of it.
struct Files {
    keep: tempfile::TempDir,
    inside: Inside,
}

impl Files {
    fn new() -> Self {
        let keep = tempfile::tempdir().unwrap();
        for folder in [FOLDER, ".slapgrid"] {
            fs::create_dir_all(keep.path().join(folder)).unwrap();
        }
        let inside = Inside::open(Utf8Path::from_path(keep.path()).unwrap()).unwrap();
        let files = Self { keep, inside };
        let made = rcgen::generate_simple_self_signed(["web".to_owned()]).unwrap();
        files.put("web.crt", &made.cert.pem());
        files.put("web.key", &made.signing_key.serialize_pem());
        let other = rcgen::generate_simple_self_signed(["web".to_owned()]).unwrap();
        files.put("other.key", &other.signing_key.serialize_pem());
        files
    }

    fn put(&self, path: &str, text: &str) {
        let mut file = File::create(self.keep.path().join(path)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn place(&self) -> Place {
        place(self.keep.path().to_str().unwrap())
    }

    fn read(&self, text: &str, has_issuer: bool) -> Result<Bridge, String> {
        self.put("etc/bridge/web", text);
        read(&self.inside, &self.place(), &name(), has_issuer).map_err(|error| in_one_line(&error))
    }

    fn wanted(&self) -> BTreeMap<ProgramName, Fingerprint> {
        let place = self.place();
        wanted(&self.inside, place.ipv6, place.ipv4).unwrap()
    }
}

#[test]
fn a_bridge_leads_from_its_ipv6_to_its_ipv4_only() {
    let bridge = Files::new().read(r#"{"port": 80, "to": 8080}"#, false);
    let bridge = bridge.unwrap();
    assert_eq!(bridge.listen.to_string(), "[fd12:3456:789a:1::9]:80");
    assert_eq!(bridge.to.to_string(), "10.0.0.9:8080");
    assert_eq!((bridge.tls, bridge.network), (None, None));
}

#[test]
fn what_cannot_be_opened_is_refused_in_words() {
    let files = Files::new();
    files.put("no.crt", "no PEM");
    for (text, has_issuer, words) in [
        (
            "{}",
            true,
            "`etc/bridge/web` is not understood: it must be a JSON object",
        ),
        (
            r#"{"port": 1, "to": 2, "tls": true}"#,
            false,
            "it wants TLS, and its master gives instances no certificates",
        ),
        (
            r#"{"port": 1, "to": 2, "tls": true}"#,
            true,
            "there is no `.slapgrid/master.crt`",
        ),
        (
            r#"{"port": 1, "to": 2, "certificate": "no.crt", "key": "web.key"}"#,
            true,
            "`no.crt` has no certificate in PEM",
        ),
        (
            r#"{"port": 1, "to": 2, "certificate": "web.crt", "key": "no.crt"}"#,
            true,
            "`no.crt` has no private key in PEM",
        ),
        (
            r#"{"port": 1, "to": 2, "certificate": "web.crt", "key": "other.key"}"#,
            true,
            "the certificate in `web.crt` is not of the key in `other.key`",
        ),
    ] {
        let said = files.read(text, has_issuer).unwrap_err();
        assert!(said.starts_with(words), "{said}");
    }
    let path = files.keep.path().join("etc/bridge/web");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/shadow", path).unwrap();
    let said = read(&files.inside, &files.place(), &name(), true).unwrap_err();
    assert!(matches!(said, BridgeError::Read { .. }), "{said}");
}

#[test]
fn a_new_certificate_makes_another_bridge() {
    let files = Files::new();
    assert!(files.wanted().is_empty());
    let text = r#"{"port": 1, "to": 2, "certificate": "web.crt", "key": "web.key"}"#;
    files.put("etc/bridge/web", text);
    let before = files.wanted();
    assert_eq!(files.wanted(), before);
    files.put("web.crt", "another");
    assert_ne!(files.wanted(), before);
}

#[test]
fn a_port_that_is_taken_is_seen() {
    let taken = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let sockets = || fs::read_to_string("/proc/self/net/tcp6").unwrap();
    let SocketAddr::V6(address) = taken.local_addr().unwrap() else {
        panic!("it has the other family");
    };
    assert!(is_taken(address, &sockets()));
    drop(taken);
    assert!(!is_taken(address, &sockets()));
    let said = BridgeError::Taken(address).to_string();
    assert!(said.starts_with("something listens on [::1]:"), "{said}");
}
