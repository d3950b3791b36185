//! What nodes and the registry say to each other: JSON over HTTP, under `/v1/re6st/`. Types only.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use slapbox_overlay::keys::PublicKey;

use crate::domain::Domain;
use crate::reference::Reference;

/// The header in which the master's proxy says who calls; from outside it is removed there.
pub const COMPUTER_HEADER: &str = "x-slapbox-computer";

/// The header in which it says where the caller is, if it knows: the label `region` of the computer. From outside it is removed there, too.
pub const REGION_HEADER: &str = "x-slapbox-region";

/// `POST /v1/re6st/join`: a computer wants to be a member, or renews its certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Certificate signing request for the computer's overlay key, PEM.
    pub csr: String,
    /// The computer's WireGuard key.
    pub wireguard_public_key: PublicKey,
    /// The UDP port it listens on.
    pub port: u16,
    /// `host:port` at which others reach it, if it is told.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Where others might reach it: as others see it, and the addresses of its machine; the best first.
    #[serde(default)]
    pub addresses: Vec<SocketAddr>,
}

/// The answer to a join: everything that a member needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinReply {
    /// The member's certificate, PEM.
    pub certificate: String,
    /// The registry's certificate, PEM.
    pub ca: String,
    /// The whole overlay.
    pub network: Ipv6Net,
    /// The member's own prefix.
    pub prefix: Ipv6Net,
    /// The member's address on the WireGuard interface, the first of the /96 that is its own there.
    pub link_address: Ipv6Addr,
    /// Who else is a member.
    #[serde(flatten)]
    pub view: View,
}

/// `GET /v1/re6st/network?since=V`: who else is a member, or what changed of that since version `V`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Moves when the rest does.
    pub version: u64,
    /// The version to which the rest is what was added; 0 where it is everything.
    #[serde(default)]
    pub since: u64,
    /// The member on whose machine the registry is: it is reached where the master is, unless it says otherwise.
    #[serde(default)]
    pub host: Option<Reference>,
    /// With what the names of its nodes end.
    #[serde(default)]
    pub domain: Domain,
    /// Members, in the order of their numbers.
    pub peers: Vec<Peer>,
    /// The numbers of those who are members no more.
    #[serde(default)]
    pub gone: Vec<u32>,
}

impl View {
    /// Returns this view with what was added to it; nothing if that was added to another one.
    pub fn with(&self, news: Self) -> Option<Self> {
        if news.since == 0 {
            return Some(news);
        }
        if news.since != self.version {
            return None;
        }
        let mut peers: BTreeMap<u32, Peer> = self.numbered();
        peers.retain(|number, _| !news.gone.contains(number));
        peers.extend(news.numbered());
        Some(Self {
            version: news.version,
            since: 0,
            host: news.host,
            domain: news.domain,
            peers: peers.into_values().collect(),
            gone: Vec::new(),
        })
    }

    fn numbered(&self) -> BTreeMap<u32, Peer> {
        let numbered = |peer: &Peer| (peer.number(), peer.clone());
        self.peers.iter().map(numbered).collect()
    }
}

/// Another member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name.
    pub reference: Reference,
    /// Its WireGuard key.
    pub wireguard_public_key: PublicKey,
    /// `host:port` at which it says to be reached.
    pub endpoint: Option<String>,
    /// The UDP port it listens on.
    pub port: u16,
    /// Where it might be reached, as it says, the best first; some may mean another machine, or nothing, where the reader is.
    #[serde(default)]
    pub addresses: Vec<SocketAddr>,
    /// Its address on the WireGuard interface.
    pub link_address: Ipv6Addr,
    /// Its prefix.
    pub prefix: Ipv6Net,
}

impl Peer {
    /// Returns its number in the network, which is in its link address.
    pub fn number(&self) -> u32 {
        number_of(self.link_address)
    }
}

/// Returns the number of the member with this link address; its addresses differ in what comes after it.
pub fn number_of(link_address: Ipv6Addr) -> u32 {
    let [.., high, low, _, _] = link_address.segments();
    u32::from(high) << 16 | u32::from(low)
}

/// `POST /v1/re6st/links`: with whom a computer has tunnels that carry something.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinksReport {
    /// All of them.
    pub links: Vec<LinkReport>,
}

/// A tunnel, as one end sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkReport {
    /// The other end.
    pub peer: Reference,
    /// How long there and back takes, in milliseconds.
    #[serde(default)]
    pub round_trip_ms: Option<f64>,
}

/// `GET /local/map`: the members and the tunnels between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Map {
    /// The whole overlay.
    pub network: Ipv6Net,
    /// Members, in the order of their names.
    pub nodes: Vec<MapNode>,
    /// Tunnels, each once.
    pub links: Vec<MapLink>,
}

/// A member on the map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapNode {
    /// Its name.
    pub reference: Reference,
    /// Its prefix.
    pub prefix: Ipv6Net,
    /// Whether it was heard of late.
    pub is_alive: bool,
    /// How long ago; nothing if never since the registry began.
    pub silent_seconds: Option<u64>,
}

/// A tunnel on the map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapLink {
    /// Between whom.
    pub ends: [Reference; 2],
    /// How long there and back takes, in milliseconds.
    pub round_trip_ms: Option<f64>,
}

/// Every refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// A word for programs.
    pub error: String,
    /// Words for people.
    pub message: String,
}
