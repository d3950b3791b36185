//! Which steps lead from the observed links to the desired ones.
//!
//! Pure: it names no socket, and cannot fail.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

use ipnet::Ipv6Net;

use super::{
    Desired, Observed, ObservedPeer, ObservedTunnel, ObservedWireGuard, Peer, Route, Tunnel,
    WIREGUARD,
};
use crate::keys::{PrivateKey, PublicKey};

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Removes an interface and everything on it.
    RemoveLink(String),
    /// Removes a route.
    RemoveRoute(Route),
    /// Removes an address.
    RemoveAddress { link: String, address: Ipv6Net },
    /// Makes the WireGuard interface.
    AddWireGuard { mtu: u32 },
    /// Gives the WireGuard interface its key.
    SetPrivateKey(PrivateKey),
    /// Makes the WireGuard interface listen on a port.
    SetPort(u16),
    /// Stops talking to a peer.
    RemovePeer(PublicKey),
    /// Starts talking to a peer, or changes what is behind it.
    SetPeer {
        key: PublicKey,
        allowed: Ipv6Net,
        keepalive: u16,
    },
    /// Tells where a peer is.
    SetEndpoint {
        key: PublicKey,
        endpoint: SocketAddr,
    },
    /// Makes a tunnel.
    AddTunnel { name: String, tunnel: Tunnel },
    /// Keeps the kernel from making a link-local address on an interface.
    KeepBare(String),
    /// Changes the largest packet of an interface.
    SetMtu { link: String, mtu: u32 },
    /// Sets an interface up.
    RaiseLink(String),
    /// Adds an address.
    AddAddress { link: String, address: Ipv6Net },
    /// Adds a route.
    AddRoute(Route),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemoveLink(name) => write!(f, "remove interface {name}"),
            Self::RemoveRoute(route) => write!(f, "remove {route}"),
            Self::RemoveAddress { link, address } => {
                write!(f, "remove address {address} from {link}")
            }
            Self::AddWireGuard { mtu } => {
                write!(f, "make WireGuard interface {WIREGUARD} with MTU {mtu}")
            }
            Self::SetPrivateKey(_) => write!(f, "set the key of {WIREGUARD}"),
            Self::SetPort(port) => write!(f, "make {WIREGUARD} listen on port {port}"),
            Self::RemovePeer(key) => write!(f, "remove peer {key}"),
            Self::SetPeer {
                key,
                allowed,
                keepalive,
            } => write!(f, "set peer {key} at {allowed}, keepalive {keepalive} s"),
            Self::SetEndpoint { key, endpoint } => {
                write!(f, "set endpoint {endpoint} of peer {key}")
            }
            Self::AddTunnel { name, tunnel } => {
                write!(f, "make tunnel {name} to {}", tunnel.remote)
            }
            Self::KeepBare(name) => write!(f, "keep interface {name} bare of automatic addresses"),
            Self::SetMtu { link, mtu } => write!(f, "set MTU {mtu} of {link}"),
            Self::RaiseLink(name) => write!(f, "set interface {name} up"),
            Self::AddAddress { link, address } => write!(f, "add address {address} to {link}"),
            Self::AddRoute(route) => write!(f, "add {route}"),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Through { to, link } => write!(f, "route to {to} through {link}"),
            Self::Unreachable(to) => write!(f, "unreachable route to {to}"),
        }
    }
}

/// Returns the steps that turn `observed` into `desired`: removals, WireGuard, tunnels, addresses, routes.
pub fn plan(desired: &Desired, observed: &Observed) -> Vec<Action> {
    let gone = links_to_remove(desired, observed);
    let mut actions: Vec<_> = gone.iter().cloned().map(Action::RemoveLink).collect();
    let is_gone = |link: &str| gone.contains(link);
    // The kernel removes what is on an interface with it.
    let kept_routes: BTreeSet<_> = observed
        .routes
        .iter()
        .filter(|route| !route.link().is_some_and(is_gone))
        .cloned()
        .collect();
    let kept_addresses: BTreeSet<_> = observed
        .addresses
        .iter()
        .filter(|(link, _)| !is_gone(link))
        .cloned()
        .collect();

    let stale = kept_routes.difference(&desired.routes);
    actions.extend(stale.map(|route| Action::RemoveRoute(route.clone())));
    let stale = kept_addresses.difference(&desired.addresses).cloned();
    actions.extend(stale.map(|(link, address)| Action::RemoveAddress { link, address }));
    actions.extend(wireguard_steps(desired, observed.wireguard.as_ref()));
    for (name, tunnel) in &desired.tunnels {
        let found = observed.tunnels.get(name).filter(|_| !is_gone(name));
        actions.extend(tunnel_steps(name, tunnel, found));
    }
    let missing = desired.addresses.difference(&kept_addresses).cloned();
    actions.extend(missing.map(|(link, address)| Action::AddAddress { link, address }));
    let missing = desired.routes.difference(&kept_routes).cloned();
    actions.extend(missing.map(Action::AddRoute));
    actions
}

impl Route {
    fn link(&self) -> Option<&str> {
        match self {
            Self::Through { link, .. } => Some(link),
            Self::Unreachable(_) => None,
        }
    }
}

/// Interfaces that are not desired, or that can only be changed by making them anew.
fn links_to_remove(desired: &Desired, observed: &Observed) -> BTreeSet<String> {
    let wrong = |name: &String, found: &ObservedTunnel| {
        let wanted = desired
            .tunnels
            .get(name)
            .map(|tunnel| (tunnel.local, tunnel.remote));
        wanted.is_none() || found.ends != wanted
    };
    let tunnels = observed
        .tunnels
        .iter()
        .filter(|(name, found)| wrong(name, found));
    tunnels
        .map(|(name, _)| name)
        .chain(&observed.impostors)
        .cloned()
        .collect()
}

fn wireguard_steps(desired: &Desired, observed: Option<&ObservedWireGuard>) -> Vec<Action> {
    let wanted = &desired.wireguard;
    let nothing = ObservedWireGuard {
        mtu: wanted.mtu,
        ..ObservedWireGuard::default()
    };
    let found = observed.unwrap_or(&nothing);
    let mut steps = Vec::new();
    if observed.is_none() {
        steps.push(Action::AddWireGuard { mtu: wanted.mtu });
    }
    if found.private_key.as_ref() != Some(&wanted.private_key) {
        steps.push(Action::SetPrivateKey(wanted.private_key.clone()));
    }
    if found.port != wanted.port {
        steps.push(Action::SetPort(wanted.port));
    }
    let stale = found
        .peers
        .keys()
        .filter(|key| !wanted.peers.contains_key(key));
    steps.extend(stale.map(|key| Action::RemovePeer(*key)));
    for (key, peer) in &wanted.peers {
        steps.extend(peer_steps(*key, peer, found.peers.get(key)));
    }
    steps.extend(common_steps(WIREGUARD, wanted.mtu, found.mtu, found.up));
    steps
}

fn peer_steps(key: PublicKey, peer: &Peer, found: Option<&ObservedPeer>) -> Vec<Action> {
    let mut steps = Vec::new();
    let allowed = BTreeSet::from([peer.allowed]);
    if found.is_none_or(|found| found.allowed != allowed || found.keepalive != peer.keepalive) {
        steps.push(Action::SetPeer {
            key,
            allowed: peer.allowed,
            keepalive: peer.keepalive,
        });
    }
    // A peer that answers is where WireGuard heard it, which may be behind a NAT that moved, unless there is a better way to it.
    let alive = found.is_some_and(ObservedPeer::is_alive);
    if let Some(endpoint) = peer.endpoint
        && (peer.moves || !alive)
        && found.and_then(|found| found.endpoint) != Some(endpoint)
    {
        steps.push(Action::SetEndpoint { key, endpoint });
    }
    steps
}

fn tunnel_steps(name: &str, tunnel: &Tunnel, found: Option<&ObservedTunnel>) -> Vec<Action> {
    match found {
        Some(found) => common_steps(name, tunnel.mtu, found.mtu, found.up),
        None => vec![
            Action::AddTunnel {
                name: name.to_owned(),
                tunnel: tunnel.clone(),
            },
            Action::KeepBare(name.to_owned()),
            Action::RaiseLink(name.to_owned()),
        ],
    }
}

fn common_steps(link: &str, mtu: u32, found_mtu: u32, up: bool) -> Vec<Action> {
    let mut steps = Vec::new();
    if found_mtu != mtu {
        steps.push(Action::SetMtu {
            link: link.to_owned(),
            mtu,
        });
    }
    if !up {
        steps.push(Action::RaiseLink(link.to_owned()));
    }
    steps
}

#[cfg(test)]
mod tests;
