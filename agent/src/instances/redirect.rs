//! Port redirections that a partition asks for, in the original's form: who connects to a port of the partition's address
//! reaches another port, and mostly its IPv6 from its IPv4. Pure but for reading the file.
//!
//! Both addresses must be the partition's own: the original lets it listen at every address of the node, and as root at low
//! ports. TCP is carried by `systemd-socket-proxyd` behind a socket of systemd's, UDP by socat; both as the partition's user.
//! A redirection is known by what it does: another one has another name.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::Deserialize;

use super::confinement::{MOST_FILES, Place, STOP_WITHIN, micros, privileges, restarting, slice};
use crate::desired::{Fingerprint, Instance};
use crate::inside::Inside;
use crate::observed::ProgramName;
use crate::systemd::{Property, Value, property};

/// Where a partition says which redirections it wants.
/// Source: slapos.core, `slapos/manager/portredir.py`.
pub const FILE: &str = ".slapos-port-redirect";
/// What carries UDP; in the package `socat`.
pub const CARRIES_UDP: &str = "/usr/bin/socat";

const LONGEST: u64 = 64 * 1024;
const MOST: usize = 100;
const CARRIES_TCP: &str = "/usr/lib/systemd/systemd-socket-proxyd";
/// What carries connections goes when there were none for so long.
const IDLE: &str = "5min";
/// Seconds after which a peer that sends nothing by UDP has left, and how many there may be.
const UDP_IDLE: &str = "60";
const MOST_UDP_PEERS: u32 = 256;
const LOW_PORTS: u16 = 1024;
/// Source: capabilities(7), `CAP_NET_BIND_SERVICE`.
const BIND_LOW_PORTS: u64 = 1 << 10;

/// A redirection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect {
    pub transport: Transport,
    pub from: SocketAddr,
    pub to: SocketAddr,
}

/// What is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
}

/// What a partition asks for cannot be.
#[derive(Debug, thiserror::Error)]
pub enum RedirectError {
    #[error("`{FILE}` cannot be read")]
    Read(#[source] io::Error),
    #[error(
        "`{FILE}` is not what the original reads: a JSON list like [{{\"srcPort\": 80, \"destPort\": 8080}}]"
    )]
    Form(#[source] serde_json::Error),
    #[error("`{FILE}` asks for more than {MOST} redirections")]
    TooMany,
    #[error("`{FILE}` asks to redirect `{0}`, which is neither tcp nor udp")]
    Transport(String),
    #[error("`{FILE}` names the port `{0}`: ports are 1 to 65535")]
    Port(String),
    #[error("`{FILE}` names the address `{0}`, which is none")]
    Address(String),
    #[error("`{FILE}` names {0}, which is not an address of this partition here: it has {1}")]
    NotItsOwn(IpAddr, String),
    #[error("`{FILE}` names no {0}, and this partition has no address to take")]
    NoAddress(&'static str),
    #[error("`{FILE}` redirects {0} twice")]
    Twice(Redirect),
    #[error("this node has no `{CARRIES_UDP}`, which carries UDP: it is in the package `socat`")]
    NoSocat,
    #[error("the redirection {redirect} cannot be made: is something else at that port?")]
    Start {
        redirect: Box<Redirect>,
        #[source]
        source: crate::systemd::SystemdError,
    },
}

/// As the original writes it; it takes whatever Python's `int()` takes for a port.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wish {
    r#type: Option<String>,
    src_port: Number,
    src_address: Option<String>,
    dest_port: Number,
    dest_address: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(i64),
    Text(String),
}

/// Returns the redirections that a partition asks for, by their names.
pub fn asked(
    inside: &Inside,
    instance: &Instance,
) -> Result<BTreeMap<ProgramName, Redirect>, RedirectError> {
    match inside.read(FILE, LONGEST).map_err(RedirectError::Read)? {
        Some(text) => {
            let here = instance.ip_list.iter().map(|(_, address)| *address);
            let here: Vec<IpAddr> = here.collect();
            parse(&text, &here, &instance.own_addresses())
        }
        None => Ok(BTreeMap::new()),
    }
}

/// From those of its addresses that are on the node, to any of its addresses: what is routed to its tap a machine has.
fn parse(
    text: &[u8],
    here: &[IpAddr],
    own: &[IpAddr],
) -> Result<BTreeMap<ProgramName, Redirect>, RedirectError> {
    let wishes: Vec<Wish> = serde_json::from_slice(text).map_err(RedirectError::Form)?;
    if wishes.len() > MOST {
        return Err(RedirectError::TooMany);
    }
    let mut all: BTreeMap<ProgramName, Redirect> = BTreeMap::new();
    for wish in wishes {
        let redirect = wish.redirect(here, own)?;
        let same = |it: &Redirect| it.transport == redirect.transport && it.from == redirect.from;
        if all.values().any(same) {
            return Err(RedirectError::Twice(redirect));
        }
        all.insert(redirect.name(), redirect);
    }
    Ok(all)
}

impl Wish {
    fn redirect(self, here: &[IpAddr], own: &[IpAddr]) -> Result<Redirect, RedirectError> {
        let transport = match self.r#type.as_deref().unwrap_or("tcp") {
            text if text.eq_ignore_ascii_case("tcp") => Transport::Tcp,
            text if text.eq_ignore_ascii_case("udp") => Transport::Udp,
            text => return Err(RedirectError::Transport(text.to_owned())),
        };
        let from = address(self.src_address, here, IpAddr::is_ipv4, "srcAddress")?;
        let to = address(self.dest_address, own, IpAddr::is_ipv6, "destAddress")?;
        Ok(Redirect {
            transport,
            from: SocketAddr::new(from, self.src_port.port()?),
            to: SocketAddr::new(to, self.dest_port.port()?),
        })
    }
}

/// Where none is named it is from the partition's first IPv4 to its first IPv6, as with the original.
fn address(
    named: Option<String>,
    own: &[IpAddr],
    usual: fn(&IpAddr) -> bool,
    key: &'static str,
) -> Result<IpAddr, RedirectError> {
    let Some(text) = named else {
        let usual = own.iter().find(|it| usual(it)).copied();
        return usual.ok_or(RedirectError::NoAddress(key));
    };
    let address = IpAddr::from_str(&text).map_err(|_| RedirectError::Address(text))?;
    if own.contains(&address) {
        return Ok(address);
    }
    let own: Vec<String> = own.iter().map(ToString::to_string).collect();
    Err(RedirectError::NotItsOwn(address, own.join(", ")))
}

impl Number {
    fn port(self) -> Result<u16, RedirectError> {
        let (port, text) = match self {
            Self::Number(number) => (u16::try_from(number).ok(), number.to_string()),
            Self::Text(text) => (text.trim().parse().ok(), text),
        };
        port.filter(|port| *port != 0)
            .ok_or(RedirectError::Port(text))
    }
}

impl Redirect {
    /// Returns its name, which no other has.
    pub fn name(&self) -> ProgramName {
        let whole = Fingerprint::of(self.to_string().as_bytes());
        let (transport, port) = (self.transport, self.from.port());
        let name = format!("{transport}-{port}-{}", whole.as_str());
        ProgramName::new(&name).expect("letters, digits and hyphens")
    }

    /// Returns the properties of the socket of one that carries TCP.
    pub fn socket(&self, place: &Place) -> Vec<Property> {
        let listen = ("Stream".to_owned(), self.from.to_string());
        vec![
            property("CollectMode", "inactive-or-failed"),
            property("Listen", Value::Pairs(vec![listen])),
            property("BindIPv6Only", "ipv6-only"),
            property("NoDelay", true),
            property("KeepAlive", true),
            property("Slice", slice(place.partition)),
            property("Description", format!("{}: {self}", place.partition)),
        ]
    }

    /// Returns the properties of the unit that carries.
    pub fn service(&self, place: &Place) -> Vec<Property> {
        let mut all = vec![
            property("CollectMode", "inactive-or-failed"),
            property("ExecStart", Value::Command(self.command())),
            property("User", place.ids.uid.to_string()),
            property("Group", place.ids.gid.to_string()),
            property("LimitNOFILE", MOST_FILES),
            property("KillMode", "control-group"),
            property("TimeoutStopUSec", micros(STOP_WITHIN)),
            property("Slice", slice(place.partition)),
            property("Description", format!("{}: {self}", place.partition)),
            property("Type", "exec"),
        ];
        let low = self.transport == Transport::Udp && self.from.port() < LOW_PORTS;
        let capabilities = if low { BIND_LOW_PORTS } else { 0 };
        let own = privileges().into_iter().map(|one| match one.name {
            "CapabilityBoundingSet" | "AmbientCapabilities" => property(one.name, capabilities),
            _ => one,
        });
        all.extend(own);
        all.extend(view());
        match self.transport {
            // Whoever connects starts it, however often it fails.
            Transport::Tcp => all.push(property("StartLimitIntervalUSec", 0_u64)),
            Transport::Udp => all.extend(restarting("always")),
        }
        all
    }

    fn command(&self) -> Vec<String> {
        let text = |text: &str| text.to_owned();
        let version = |end: SocketAddr| if end.is_ipv4() { 4 } else { 6 };
        match self.transport {
            Transport::Tcp => vec![
                text(CARRIES_TCP),
                format!("--exit-idle-time={IDLE}"),
                // It takes what is before the last colon as it is.
                format!("{}:{}", self.to.ip(), self.to.port()),
            ],
            Transport::Udp => vec![
                text(CARRIES_UDP),
                text("-T"),
                text(UDP_IDLE),
                format!(
                    "UDP{}-LISTEN:{},bind={},reuseaddr,fork,max-children={MOST_UDP_PEERS}",
                    version(self.from),
                    self.from.port(),
                    bracketed(self.from.ip()),
                ),
                format!("UDP{}:{}", version(self.to), self.to),
            ],
        }
    }
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// The node's programs; all that is anybody's is away.
fn view() -> Vec<Property> {
    let empty = |path: &str| (path.to_owned(), "ro,mode=755".to_owned());
    let folders = ["/home", "/root", "/run", "/srv", "/var"].map(empty);
    let folders = Value::TemporaryFolders(folders.into());
    let mut all = vec![
        property("TemporaryFileSystem", folders),
        property("ProtectSystem", "strict"),
        property("ProtectProc", "invisible"),
    ];
    all.extend(
        [
            "PrivateTmp",
            "PrivateDevices",
            "PrivateIPC",
            "ProtectKernelTunables",
            "ProtectKernelModules",
            "ProtectKernelLogs",
            "ProtectControlGroups",
            "ProtectClock",
            "ProtectHostname",
        ]
        .map(|name| property(name, true)),
    );
    all
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} → {}", self.transport, self.from, self.to)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

#[cfg(test)]
mod tests;
