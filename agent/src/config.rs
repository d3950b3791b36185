//! The configuration document of a box: TOML that a person wrote, checked once, then settings without doubt.
//! A mistake is said in words with its place. Reads no file; never repeats a join blob or a token.

mod cache;
mod document;
mod firewall;
mod ipv4;
mod limits;
mod mistake;
mod slap_master;
pub(crate) mod storage;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::Ipv6Net;
use slap::join::JoinBlob;

use crate::software::PublicKey;
pub use cache::Cache;
pub use firewall::Firewall;
pub use ipv4::Ipv4;
pub use limits::Ceiling;
pub use mistake::{Mistake, Place};
pub use slap_master::SlapMaster;
pub use storage::Storage;

/// UDP port of WireGuard where the document names none.
pub const OVERLAY_PORT: u16 = 6326;
/// Partitions where the document does not say how many.
pub const PARTITIONS: u16 = 200;

/// Where a master listens where the document does not say.
pub const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 443);

/// What a box shall be, as its document says.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Node, or master and node.
    pub role: Role,
    /// What people call the box.
    pub name: Option<String>,
    /// How many partitions it offers.
    pub partitions: u16,
    /// Proxy for outgoing https.
    pub proxy: Option<String>,
    /// Its end of the overlay.
    pub overlay: Overlay,
    /// The OCI image in which releases are built.
    pub builder: Option<String>,
    /// Who must have signed images of registries; nobody, if there is none.
    pub image_keys: Vec<PublicKey>,
    /// What each partition may use at most.
    pub limits: Ceiling,
    /// Where built releases are taken from, and offered.
    pub cache: Cache,
    /// What partitions may have of its disks.
    pub storage: Storage,
    /// Whether addresses that are routed to partitions are protected, and from whom not.
    pub firewall: Option<Firewall>,
    /// The network outside of which partitions have addresses.
    pub ipv4: Option<Ipv4>,
}

/// What a box is.
#[derive(Debug, Clone, PartialEq)]
pub enum Role {
    /// A node of a master; the blob is gone once the box has enrolled.
    Node(Option<JoinBlob>),
    /// A master, and a node of itself.
    Master(Master),
    /// A node of a master of another make, such as slapproxy.
    Slap(Box<SlapMaster>),
}

/// What the document says about the overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// UDP port of WireGuard.
    pub port: u16,
    /// `HOST:PORT` where others reach it, if they do.
    pub endpoint: Option<String>,
}

/// What the document says about the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    /// How nodes reach it.
    pub urls: Vec<String>,
    /// Where it listens.
    pub listen: SocketAddr,
    /// The operator's own network for the overlay; a random unique local one if none.
    pub network: Option<Ipv6Net>,
    /// Parts of it, each of which is for the computers of a region.
    pub regions: BTreeMap<String, Ipv6Net>,
}

impl Role {
    /// The word that the document uses.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Node(_) => "node",
            Self::Master(_) => "master",
            Self::Slap(_) => "slap",
        }
    }
}

/// Reads a document that somebody hands to a box.
pub fn parse(text: &str) -> Result<Settings, Mistake> {
    let settings = parse_kept(text)?;
    match settings.role {
        Role::Node(None) => Err(Mistake::anywhere(
            "there is no `join` line",
            "`slapbox token create` prints what belongs behind `join =`; a master needs `role = \"master\"`",
        )),
        Role::Node(Some(_)) | Role::Master(_) | Role::Slap(_) => Ok(settings),
    }
}

/// Reads a document that may have lost its join blob, since the box has used it.
pub fn parse_kept(text: &str) -> Result<Settings, Mistake> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    document::read(text).and_then(|document| document::check(text, document))
}

/// Reads bytes from a medium as a document's text.
pub fn text(bytes: &[u8]) -> Result<&str, Mistake> {
    std::str::from_utf8(bytes).map_err(|_| {
        Mistake::anywhere(
            "the document is not UTF-8 text",
            "save it as plain text in UTF-8",
        )
    })
}

/// Returns the document without its join blob, every other byte in its place, so that what held the token is overwritten
/// where it lies; nothing if there is no blob.
pub fn without_join(text: &str) -> Option<String> {
    let blob = document::join_place(text)?;
    let mark = text.len() - text.trim_start_matches('\u{feff}').len();
    let start = text[..blob.start]
        .rfind('\n')
        .map_or(mark, |newline| newline + 1);
    let end = text[blob.end..]
        .find('\n')
        .map_or(text.len(), |newline| blob.end + newline);
    let blank = blanked(&text[start..end]);
    Some(format!("{}{blank}{}", &text[..start], &text[end..]))
}

/// Comments of the same length in bytes, line for line.
fn blanked(text: &str) -> String {
    let note = b"# join: used and erased";
    let mut blank = String::with_capacity(text.len());
    let mut column = 0;
    for byte in text.bytes() {
        blank.push(match byte {
            b'\r' | b'\n' => char::from(byte),
            _ => note.get(column).map_or(' ', |byte| char::from(*byte)),
        });
        column = if byte == b'\n' { 0 } else { column + 1 };
    }
    blank
}

#[cfg(test)]
mod tests;
