//! How things are, for the agent and for people: `node.json`. Pure.

use std::net::{Ipv6Addr, SocketAddr};

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use slapbox_overlay::links::{Observed, ObservedPeer};

use super::detour::is_udp;
use super::document::Document;
use super::policy::{self, Tunnels};
use crate::mesh::Member;
use crate::reference::Reference;
use crate::wire::Peer;

/// `node.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The whole overlay.
    pub network: Option<Ipv6Net>,
    /// The node's prefix.
    pub prefix: Option<Ipv6Net>,
    /// The node's own address.
    pub address: Option<Ipv6Addr>,
    /// Its tunnels.
    pub links: Vec<LinkStatus>,
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
    /// How long there and back takes, in milliseconds.
    pub round_trip_ms: Option<f64>,
    /// How long ago both ends proved who they are.
    pub last_handshake_seconds: Option<u64>,
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
    tunnels: &Tunnels,
    observed: &Observed,
    problem: Option<&str>,
) -> Status {
    let Some(document) = document else {
        let reason = problem.unwrap_or("joining the network").to_owned();
        return Status {
            network: None,
            prefix: None,
            address: None,
            links: Vec::new(),
            state: State::Connecting,
            reason,
        };
    };
    let obstacle = obstacle(document, tunnels, observed);
    let state = if obstacle.is_some() {
        State::Connecting
    } else {
        State::Connected
    };
    let reasons: Vec<_> = obstacle.as_deref().into_iter().chain(problem).collect();
    Status {
        network: Some(document.joined.network),
        prefix: Some(document.joined.prefix),
        address: Some(policy::address(document.joined.prefix)),
        links: links(document, tunnels, observed),
        state,
        reason: reasons.join("; "),
    }
}

fn found<'a>(peer: &Peer, observed: &'a Observed) -> Option<&'a ObservedPeer> {
    observed
        .wireguard
        .as_ref()?
        .peers
        .get(&peer.wireguard_public_key)
}

fn links(document: &Document, tunnels: &Tunnels, observed: &Observed) -> Vec<LinkStatus> {
    let peers = document.joined.view.peers.iter();
    let link = |peer: &Peer| {
        let tunnel = tunnels.get(&Member(peer.number()))?;
        let found = found(peer, observed);
        let age = found.and_then(|found| found.handshake_age);
        Some(LinkStatus {
            peer: peer.reference.clone(),
            state: if tunnel.is_up {
                LinkState::Up
            } else {
                LinkState::Down
            },
            carrier: found.and_then(|found| found.endpoint).map(Carrier::of),
            round_trip_ms: tunnel
                .round_trip
                .map(|time| (time.as_secs_f64() * 1e4).round() / 10.0),
            last_handshake_seconds: age.map(|age| age.as_secs()),
        })
    };
    peers.filter_map(link).collect()
}

/// Returns in words what is between the node and the others.
fn obstacle(document: &Document, tunnels: &Tunnels, observed: &Observed) -> Option<String> {
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
        let tunnel = tunnels.get(&Member(peer.number()));
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
    /// Says whether two statuses differ in more than times.
    pub fn differs_from(&self, other: &Self) -> bool {
        let ageless = |status: &Self| {
            let mut status = status.clone();
            status
                .links
                .iter_mut()
                .for_each(|link| (link.round_trip_ms, link.last_handshake_seconds) = (None, None));
            status
        };
        ageless(self) != ageless(other)
    }
}

#[cfg(test)]
mod tests;
