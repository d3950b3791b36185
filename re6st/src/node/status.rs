//! How things are, for the agent and for people: `node.json`. Pure.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use slapbox_overlay::links::{Observed, ObservedPeer};

use super::document::Document;
use super::policy;
use crate::reference::Reference;
use crate::wire::Peer;

/// `node.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The whole overlay.
    pub network: Option<Ipv6Net>,
    /// The node's prefix.
    pub prefix: Option<Ipv6Net>,
    /// The node's own address.
    pub address: Option<Ipv6Addr>,
    /// Its links.
    pub links: Vec<LinkStatus>,
    /// Whether others can be reached.
    pub state: State,
    /// Why not, or what else is wrong; empty if all is well.
    pub reason: String,
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The other end.
    pub peer: Reference,
    /// Whether packets pass.
    pub state: LinkState,
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

/// Returns how things are, from what was decided, what there is and what went wrong.
pub(super) fn status(
    document: Option<&Document>,
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
    let obstacle = obstacle(document, observed);
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
        links: policy::peers(document)
            .map(|peer| link(peer, found(peer, observed)))
            .collect(),
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

fn link(peer: &Peer, found: Option<&ObservedPeer>) -> LinkStatus {
    LinkStatus {
        peer: peer.reference.clone(),
        state: if found.is_some_and(ObservedPeer::is_alive) {
            LinkState::Up
        } else {
            LinkState::Down
        },
        last_handshake_seconds: found
            .and_then(|found| found.handshake_age)
            .map(|age| age.as_secs()),
    }
}

/// Returns in words what is between the node and the others.
fn obstacle(document: &Document, observed: &Observed) -> Option<String> {
    let wireguard = match &observed.wireguard {
        Some(wireguard) if wireguard.up => wireguard,
        _ => return Some("the WireGuard interface is not up yet".to_owned()),
    };
    if document.is_hub() {
        return None;
    }
    let Some(hub) = policy::hub(document) else {
        return Some(match &document.joined.view.hub {
            Some(hub) => format!("the hub {hub} has not joined the network yet"),
            None => "the network has no hub yet".to_owned(),
        });
    };
    let name = &hub.reference;
    let Some(peer) = wireguard.peers.get(&hub.wireguard_public_key) else {
        return Some(format!("the link to the hub {name} is not made yet"));
    };
    match (peer.is_alive(), peer.handshake_age, peer.endpoint) {
        (true, ..) => {}
        (false, Some(_), _) => {
            return Some(format!(
                "the hub {name} has been silent for more than three minutes"
            ));
        }
        (false, None, Some(endpoint)) => {
            return Some(format!(
                "the hub {name} does not answer at {endpoint} (UDP)"
            ));
        }
        (false, None, None) => return Some(format!("the address of the hub {name} is not known")),
    }
    let routed = observed.babel.contains_key(&hub.prefix);
    (!routed).then(|| {
        format!(
            "the hub {name} answers, but there is no route to {} yet",
            hub.prefix
        )
    })
}

impl Status {
    /// Says whether two statuses differ in more than the age of handshakes.
    pub fn differs_from(&self, other: &Self) -> bool {
        let ageless = |status: &Self| {
            let mut status = status.clone();
            status
                .links
                .iter_mut()
                .for_each(|link| link.last_handshake_seconds = None);
            status
        };
        ageless(self) != ageless(other)
    }
}

#[cfg(test)]
mod tests;
