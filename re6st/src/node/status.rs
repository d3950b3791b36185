//! How things are, for the agent and for people: `node.json`. Pure.

mod why;

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use slapbox_overlay::links::{Observed, ObservedPeer};

use super::detour::is_udp;
use super::document::Document;
use super::neighbours::{Nearby, Tunnel, Way};
use super::{names, policy};
use crate::mesh::Member;
use crate::reference::Reference;
use crate::wire::Peer;

/// `node.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// How the registry calls this node.
    pub computer: Option<Reference>,
    /// What it is called there, for DNS.
    pub name: Option<String>,
    /// The whole overlay.
    pub network: Option<Ipv6Net>,
    /// The node's prefix.
    pub prefix: Option<Ipv6Net>,
    /// The node's own address.
    pub address: Option<Ipv6Addr>,
    /// How many others are members.
    pub others: usize,
    /// How many of their prefixes there is a route to.
    pub destinations: u64,
    /// Its tunnels.
    pub links: Vec<LinkStatus>,
    /// Who is asked for a tunnel.
    pub asked: Vec<NoLink>,
    /// Who is not asked for one for a while.
    pub resting: Vec<NoLink>,
    /// How many tunnels have come up since the daemon began.
    pub tunnels_made: u64,
    /// How many of them ceased to carry anything.
    pub tunnels_lost: u64,
    /// Whether others can be reached.
    pub state: State,
    /// Why not, or what else is wrong; empty if all is well.
    pub reason: String,
}

/// One tunnel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The other end.
    pub peer: Reference,
    /// Whether packets pass.
    pub state: LinkState,
    /// What their datagrams travel by; nothing where that is not known.
    pub carrier: Option<Carrier>,
    /// Why not, in words; empty if they do.
    pub reason: String,
    /// By what routes lead through it.
    pub way: LinkWay,
    /// For how long it has been there.
    pub age_seconds: u64,
    /// How long there and back takes, in milliseconds.
    pub round_trip_ms: Option<f64>,
    /// The share of what the other end sends that is lost, of late: from 0 to 1.
    pub loss: f64,
    /// The largest packet that it takes, in bytes.
    pub mtu: u32,
    /// How many prefixes are reached by it.
    pub destinations: u64,
    /// Where the other end is, as WireGuard knows; nothing where that is not how it is reached.
    pub endpoint: Option<SocketAddr>,
    /// What WireGuard has received from the other end, in bytes.
    pub received_bytes: u64,
    /// What it has sent there.
    pub sent_bytes: u64,
    /// How long ago both ends proved who they are.
    pub last_handshake_seconds: Option<u64>,
}

/// Somebody to whom there is no tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoLink {
    /// Who.
    pub peer: Reference,
    /// For how long they have been asked, or when they may be asked again.
    pub seconds: u64,
    /// Why there is none, in words.
    pub reason: String,
}

/// By what routes lead that lead through a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkWay {
    /// By itself.
    Main,
    /// By its spare: it is about to be closed, and only who has no other way sends by it.
    Spare,
    /// One takes the place of the other.
    Both,
}

/// Whether others can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// They can.
    Connected,
    /// Not yet, or not any more.
    Connecting,
}

/// Whether packets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// They do.
    Up,
    /// They do not.
    Down,
}

/// What the datagrams of a tunnel travel by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// Themselves.
    Udp,
    /// A stream in TLS between the other end and the registry, which is on one of both computers.
    Tls,
}

impl Carrier {
    fn of(endpoint: SocketAddr) -> Self {
        if is_udp(endpoint) {
            Self::Udp
        } else {
            Self::Tls
        }
    }
}

/// Returns how things are, from what was decided, what there is and what went wrong.
pub(super) fn status(
    document: Option<&Document>,
    near: &Nearby,
    observed: &Observed,
    problem: Option<&str>,
) -> Status {
    let nothing = Status {
        computer: None,
        name: None,
        network: None,
        prefix: None,
        address: None,
        others: 0,
        destinations: 0,
        links: Vec::new(),
        asked: Vec::new(),
        resting: Vec::new(),
        tunnels_made: near.made,
        tunnels_lost: near.lost,
        state: State::Connecting,
        reason: String::new(),
    };
    let Some(document) = document else {
        let reason = problem.unwrap_or("joining the network").to_owned();
        return Status { reason, ..nothing };
    };
    let obstacle = obstacle(document, near, observed);
    let state = if obstacle.is_some() {
        State::Connecting
    } else {
        State::Connected
    };
    let reasons: Vec<_> = obstacle.as_deref().into_iter().chain(problem).collect();
    let joined = &document.joined;
    let routed = observed.babel.keys();
    Status {
        computer: Some(document.facts.reference.clone()),
        name: names::name_of(document),
        network: Some(joined.network),
        prefix: Some(joined.prefix),
        address: Some(policy::address(joined.prefix)),
        others: joined.view.peers.len(),
        destinations: routed.filter(|prefix| **prefix != joined.prefix).count() as u64,
        links: links(document, near, observed),
        asked: why::asked(document, near, observed),
        resting: why::resting(document, near, observed),
        state,
        reason: reasons.join("; "),
        ..nothing
    }
}

fn found<'a>(peer: &Peer, observed: &'a Observed) -> Option<&'a ObservedPeer> {
    observed.peer(&peer.wireguard_public_key)
}

fn links(document: &Document, near: &Nearby, observed: &Observed) -> Vec<LinkStatus> {
    let uses = policy::uses(document, &near.tunnels, observed);
    let peers = document.joined.view.peers.iter();
    let link = |peer: &Peer| {
        let member = Member(peer.number());
        let tunnel = near.tunnels.get(&member)?;
        let destinations = uses.get(&member).copied().unwrap_or_default();
        Some(link(peer, tunnel, destinations, found(peer, observed)))
    };
    peers.filter_map(link).collect()
}

fn link(
    peer: &Peer,
    tunnel: &Tunnel,
    destinations: u64,
    found: Option<&ObservedPeer>,
) -> LinkStatus {
    let endpoint = found.and_then(|found| found.endpoint);
    let (received_bytes, sent_bytes) = found.map(|found| found.traffic).unwrap_or_default();
    let rounded = |number: f64, digits: f64| (number * digits).round() / digits;
    let milliseconds = |time: Duration| rounded(time.as_secs_f64() * 1e3, 10.0);
    LinkStatus {
        peer: peer.reference.clone(),
        state: if tunnel.is_up {
            LinkState::Up
        } else {
            LinkState::Down
        },
        reason: why::down(tunnel, found).unwrap_or_default(),
        way: match tunnel.way {
            Way::Main => LinkWay::Main,
            Way::Spare => LinkWay::Spare,
            Way::Both => LinkWay::Both,
        },
        age_seconds: tunnel.age.as_secs(),
        round_trip_ms: tunnel.round_trip.map(milliseconds),
        loss: rounded(f64::from(tunnel.lost) / 1e6, 1e4),
        mtu: policy::TUNNEL_MTU,
        destinations,
        endpoint: endpoint.filter(|endpoint| is_udp(*endpoint)),
        carrier: endpoint.map(Carrier::of),
        received_bytes,
        sent_bytes,
        last_handshake_seconds: found
            .and_then(|found| found.handshake_age)
            .map(|age| age.as_secs()),
    }
}

/// Returns in words what is between the node and the others.
fn obstacle(document: &Document, near: &Nearby, observed: &Observed) -> Option<String> {
    if !observed.wireguard.as_ref().is_some_and(|it| it.up) {
        return Some("the WireGuard interface is not up yet".to_owned());
    }
    let peers = &document.joined.view.peers;
    if peers.is_empty() {
        // Where the registry is there need not be anybody else.
        let is_lonely = !document.is_host();
        return is_lonely.then(|| "nobody else has joined the network yet".to_owned());
    }
    let is_up = |peer: &&Peer| {
        let tunnel = near.tunnels.get(&Member(peer.number()));
        tunnel.is_some_and(|tunnel| tunnel.is_up)
    };
    let Some(neighbour) = peers.iter().find(is_up) else {
        return Some(silence(peers, observed));
    };
    let own = document.joined.prefix;
    let is_routed = observed.babel.keys().any(|prefix| *prefix != own);
    let name = &neighbour.reference;
    (!is_routed).then(|| format!("{name} answers, but there is no route to anybody yet"))
}

/// Returns in words why nobody answers.
fn silence(peers: &[Peer], observed: &Observed) -> String {
    let tried = peers.iter().find_map(|peer| {
        let endpoint = found(peer, observed)?.endpoint?;
        let name = &peer.reference;
        Some(match Carrier::of(endpoint) {
            Carrier::Udp => format!("{name} does not at {endpoint} (UDP)"),
            Carrier::Tls => format!("{name} does not by way of its registry (TLS)"),
        })
    });
    let count = peers.len();
    match (tried, peers) {
        (Some(tried), [_]) => format!("the other computer does not answer: {tried}"),
        (Some(tried), _) => format!("none of {count} computers answers: {tried}"),
        (None, [peer]) => format!("the address of {} is not known", peer.reference),
        (None, _) => format!("the address of none of {count} computers is known"),
    }
}

impl Status {
    /// Says whether two statuses differ in more than times and counts.
    pub fn differs_from(&self, other: &Self) -> bool {
        self.lasting() != other.lasting()
    }

    /// Says whether two statuses differ in who is asked for a tunnel and who is not.
    pub(super) fn asks_others_than(&self, other: &Self) -> bool {
        let peers = |all: &[NoLink]| -> Vec<_> { all.iter().map(|it| it.peer.clone()).collect() };
        let near = |status: &Self| (peers(&status.asked), peers(&status.resting));
        near(self) != near(other)
    }

    /// Returns it without what changes all the time.
    fn lasting(&self) -> Self {
        let lasting = |link: &LinkStatus| LinkStatus {
            age_seconds: 0,
            round_trip_ms: None,
            loss: 0.0,
            destinations: 0,
            received_bytes: 0,
            sent_bytes: 0,
            last_handshake_seconds: None,
            ..link.clone()
        };
        Self {
            destinations: 0,
            links: self.links.iter().map(lasting).collect(),
            asked: Vec::new(),
            resting: Vec::new(),
            tunnels_made: 0,
            tunnels_lost: 0,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests;
