//! Bridges, for software that knows no IPv6: a port of the partition's IPv6 whose connections go to a port of its IPv4.
//!
//! systemd listens, as it does for any socket, and starts what carries the connections with the first of them: its own
//! `systemd-socket-proxyd`, or stunnel where TLS is wanted. Both run as the partition's user, and see of the node its programs and settings
//! and, for TLS, the partition's directory. They listen on the partition's own IPv6 only, and lead to its own IPv4 only.
//!
//! Released software asks for one by a file in `etc/bridge` (`slapbox_promises::bridge` says what is in it); a stock image that
//! listens on IPv4 only gets them without asking (`container::reach`).

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use slapbox_promises::bridge::{self as file, FOLDER, NotABridge, Tls};

use super::confinement::{
    MOST_FILES, Place, STOP_WITHIN, description, micros, node_protections, privileges, slice,
};
use super::credentials;
use super::listening::listened;
use super::programs::{self, ProgramsError};
use crate::desired::Fingerprint;
use crate::inside::Inside;
use crate::observed::ProgramName;
use crate::systemd::{Property, Value, property};

/// A way from a port of IPv6 to one of IPv4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    pub listen: SocketAddrV6,
    pub to: SocketAddrV4,
    /// Whose certificate is shown; nothing where nothing is encrypted.
    pub tls: Option<Pair>,
    /// The network that both ends are in, if it is not the node's.
    pub network: Option<Utf8PathBuf>,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub certificate: Utf8PathBuf,
    pub key: Utf8PathBuf,
}

/// A bridge cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    #[error("failed to read `{path}`")]
    Read {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("there is no `{0}`")]
    Gone(Utf8PathBuf),
    #[error("`{path}` is not understood")]
    NotABridge {
        path: Utf8PathBuf,
        #[source]
        source: NotABridge,
    },
    #[error("its partition has no {0}")]
    NoAddress(&'static str),
    #[error(
        "it wants TLS, and its master gives instances no certificates: name its own `certificate` and `key`"
    )]
    NoIssuer,
    #[error("`{0}` has no certificate in PEM")]
    NotACertificate(Utf8PathBuf),
    #[error("`{0}` has no private key in PEM that is supported")]
    NotAKey(Utf8PathBuf),
    #[error("the certificate in `{certificate}` is not of the key in `{key}`")]
    NotAPair {
        certificate: Utf8PathBuf,
        key: Utf8PathBuf,
    },
    #[error("this node has no `{STUNNEL}`, which speaks TLS: it is in the package `stunnel4`")]
    NoStunnel,
    #[error("something listens on {0} already")]
    Taken(SocketAddrV6),
}

const PROXY: &str = "/usr/lib/systemd/systemd-socket-proxyd";
const STUNNEL: &str = "/usr/bin/stunnel";
/// What carries connections goes when there were none for so long.
const IDLE: &str = "5min";
/// Each connection takes six of the files that it may have.
const MOST_CONNECTIONS: u32 = 4096;
const LONGEST_PEM: u64 = 64 * 1024;
/// The start of something small.
const START_WITHIN: Duration = Duration::from_secs(30);

/// Returns the bridges that the files of a partition ask for. What is wrong with one is found when it is opened: what it needs may
/// be made by a program of the partition.
pub fn wanted(
    inside: &Inside,
    ipv6: Option<Ipv6Addr>,
    ipv4: Option<Ipv4Addr>,
) -> Result<BTreeMap<ProgramName, Fingerprint>, ProgramsError> {
    let names = programs::bridges(inside)?.into_iter();
    let all = names.map(|name| {
        let text = content(inside, &path_of(&name), file::LONGEST);
        let mut whole = format!("{ipv6:?} {ipv4:?} ").into_bytes();
        if let Ok(bridge) = file::Bridge::parse(&text)
            && let Some(tls) = &bridge.tls
        {
            let Pair { certificate, key } = files_of(tls);
            for path in [certificate, key] {
                let text = content(inside, &path, LONGEST_PEM);
                whole.extend_from_slice(Fingerprint::of(&text).as_str().as_bytes());
            }
        }
        whole.extend(text);
        (name, Fingerprint::of(&whole))
    });
    Ok(all.collect())
}

/// Reads what a file asks for, with all that it needs, and checks it.
pub fn read(
    inside: &Inside,
    place: &Place,
    name: &ProgramName,
    has_issuer: bool,
) -> Result<Bridge, BridgeError> {
    let path = path_of(name);
    let text = needed(inside, &path, file::LONGEST)?;
    let asked =
        file::Bridge::parse(&text).map_err(|source| BridgeError::NotABridge { path, source })?;
    let ipv6 = place.ipv6.ok_or(BridgeError::NoAddress("IPv6"))?;
    let ipv4 = place.ipv4.ok_or(BridgeError::NoAddress("IPv4"))?;
    let tls = match &asked.tls {
        None => None,
        Some(Tls::OfMaster) if !has_issuer => return Err(BridgeError::NoIssuer),
        Some(tls) => {
            let pair = files_of(tls);
            check(inside, &pair)?;
            Some(Pair {
                certificate: place.directory.join(pair.certificate),
                key: place.directory.join(pair.key),
            })
        }
    };
    if tls.is_some() && !Utf8Path::new(STUNNEL).exists() {
        return Err(BridgeError::NoStunnel);
    }
    Ok(Bridge {
        listen: SocketAddrV6::new(ipv6, asked.port.get(), 0, 0),
        to: SocketAddrV4::new(ipv4, asked.to.get()),
        tls,
        network: None,
    })
}

/// Returns whether something of the node listens where a bridge shall, by the kernel's list of what does.
pub fn is_taken(listen: SocketAddrV6, sockets: &str) -> bool {
    let anywhere = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, listen.port(), 0, 0);
    let listened = listened(sockets);
    [listen, anywhere]
        .iter()
        .any(|end| listened.contains(&(*end).into()))
}

/// Returns the properties of a bridge's socket.
pub fn socket(
    place: &Place,
    name: &ProgramName,
    bridge: &Bridge,
    as_what: &Fingerprint,
) -> Vec<Property> {
    let listen = ("Stream".to_owned(), bridge.listen.to_string());
    let named = format!("bridge {name}");
    let mut all = vec![
        property("CollectMode", "inactive-or-failed"),
        property("Listen", Value::Pairs(vec![listen])),
        property("BindIPv6Only", "ipv6-only"),
        property("NoDelay", true),
        property("KeepAlive", true),
        property("Slice", slice(place.partition)),
        property("Description", description(place.partition, &named, as_what)),
    ];
    all.extend(network(bridge));
    all
}

/// Returns the properties of the unit that carries a bridge's connections.
pub fn service(place: &Place, name: &ProgramName, bridge: &Bridge) -> Vec<Property> {
    let mut all = vec![
        property("CollectMode", "inactive-or-failed"),
        property("Type", "exec"),
        // Whoever connects starts it, however often it fails.
        property("StartLimitIntervalUSec", 0_u64),
        property("User", place.ids.uid.to_string()),
        property("Group", place.ids.gid.to_string()),
        property("LimitNOFILE", MOST_FILES),
        property("TimeoutStartUSec", micros(START_WITHIN)),
        property("TimeoutStopUSec", micros(STOP_WITHIN)),
        property("Slice", slice(place.partition)),
        property("Description", format!("{}: bridge {name}", place.partition)),
    ];
    all.extend(view(place, bridge));
    all.extend(network(bridge));
    all.extend(privileges());
    let command = |words: Vec<String>| property("ExecStart", Value::Command(words));
    match &bridge.tls {
        None => all.push(command(vec![
            PROXY.to_owned(),
            format!("--exit-idle-time={IDLE}"),
            format!("--connections-max={MOST_CONNECTIONS}"),
            bridge.to.to_string(),
        ])),
        Some(pair) => {
            let text = configuration(bridge, pair).into_bytes();
            all.push(property("StandardInputData", Value::Bytes(text)));
            all.push(property("StandardInput", "data"));
            all.push(command(vec![STUNNEL.to_owned(), "-fd".into(), "0".into()]));
        }
    }
    all
}

/// What stunnel is told. It takes the socket from systemd; that it shall listen must be said all the same.
fn configuration(bridge: &Bridge, pair: &Pair) -> String {
    let Bridge { listen, to, .. } = bridge;
    let Pair { certificate, key } = pair;
    format!(
        "foreground = yes\npid =\nsyslog = no\ndebug = warning\n[bridge]\naccept = {}:{}\nconnect = {to}\ncert = {certificate}\nkey = {key}\n\
         sslVersionMin = TLSv1.2\nTIMEOUTclose = 0\nlibwrap = no\n",
        listen.ip(),
        listen.port()
    )
}

fn network(bridge: &Bridge) -> Option<Property> {
    let path = bridge.network.as_ref()?;
    Some(property("NetworkNamespacePath", path.as_str()))
}

/// The node's programs, and for TLS the partition's directory. All that is anybody's is away.
fn view(place: &Place, bridge: &Bridge) -> Vec<Property> {
    let empty = |path: &str| (path.to_owned(), "ro,mode=755".to_owned());
    let folders = ["/home", "/root", "/run", "/srv", "/var"].map(empty);
    let own = bridge.tls.as_ref().map(|_| {
        let path = place.directory.to_string();
        let bind = (path.clone(), path, false);
        property("BindReadOnlyPaths", Value::Binds(vec![bind]))
    });
    let mut all = vec![
        property(
            "TemporaryFileSystem",
            Value::TemporaryFolders(folders.into()),
        ),
        property("ProtectSystem", "strict"),
        property("PrivateTmp", true),
        property("PrivateDevices", true),
        property("PrivateIPC", true),
    ];
    all.extend(node_protections());
    all.extend(own);
    all
}

fn path_of(name: &ProgramName) -> Utf8PathBuf {
    Utf8Path::new(FOLDER).join(name.as_str())
}

/// Where certificate and key are, below the partition's directory.
fn files_of(tls: &Tls) -> Pair {
    match tls {
        Tls::OfMaster => {
            let (certificate, key) = credentials::paths(Utf8Path::new(""));
            Pair { certificate, key }
        }
        Tls::Own { certificate, key } => Pair {
            certificate: certificate.clone(),
            key: key.clone(),
        },
    }
}

/// Reads what is there, whatever it is: only whether it is another thing than before is asked.
fn content(inside: &Inside, path: &Utf8Path, limit: u64) -> Vec<u8> {
    let read = inside.read(path.as_str(), limit);
    read.ok().flatten().unwrap_or_default()
}

fn needed(inside: &Inside, path: &Utf8Path, limit: u64) -> Result<Vec<u8>, BridgeError> {
    let read = inside.read(path.as_str(), limit);
    let read = read.map_err(|source| BridgeError::Read {
        path: path.to_owned(),
        source,
    })?;
    read.ok_or_else(|| BridgeError::Gone(path.to_owned()))
}

/// What stunnel would only say to the journal, at the first connection.
fn check(inside: &Inside, pair: &Pair) -> Result<(), BridgeError> {
    let (certificate, key) = (&pair.certificate, &pair.key);
    let text = needed(inside, certificate, LONGEST_PEM)?;
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.unwrap_or_default();
    if chain.is_empty() {
        return Err(BridgeError::NotACertificate(certificate.clone()));
    }
    let text = needed(inside, key, LONGEST_PEM)?;
    let secret = PrivateKeyDer::from_pem_slice(&text).ok();
    let secret = secret.and_then(|secret| any_supported_type(&secret).ok());
    let secret = secret.ok_or_else(|| BridgeError::NotAKey(key.clone()))?;
    match CertifiedKey::new(chain, secret).keys_match() {
        Ok(()) => Ok(()),
        Err(_) => Err(BridgeError::NotAPair {
            certificate: certificate.clone(),
            key: key.clone(),
        }),
    }
}

#[cfg(test)]
mod tests;
