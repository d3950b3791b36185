//! Which links a member shall have: in this first form a star, the hub to all and the others to the hub.
//!
//! Pure: a document and the node's key in, the overlay's desired state out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv6Addr, SocketAddr};

use ipnet::Ipv6Net;
use slapbox_overlay::babel::Babel;
use slapbox_overlay::keys::PrivateKey;
use slapbox_overlay::links::{
    self, Desired, LOOPBACK, Route, Tunnel, WIREGUARD, WireGuard, tunnel_name,
};

use super::document::Document;
use crate::reference::Reference;
use crate::wire::Peer;

/// What an Ethernet leaves of 1500 bytes to WireGuard over IPv6.
const WIREGUARD_MTU: u32 = 1420;
/// What that leaves to a packet in another header of IPv6.
const TUNNEL_MTU: u32 = WIREGUARD_MTU - 40;
/// Keeps the way through a NAT open.
const KEEPALIVE: u16 = 25;

/// Returns the links of a member; `endpoints` tells where peers are, as far as that is known.
pub fn desired(
    document: &Document,
    key: &PrivateKey,
    endpoints: &BTreeMap<Reference, SocketAddr>,
) -> Desired {
    let joined = &document.joined;
    let link_local = link_local(joined.link_address);
    let mut desired = Desired {
        wireguard: WireGuard {
            private_key: key.clone(),
            port: document.facts.port,
            mtu: WIREGUARD_MTU,
            peers: BTreeMap::new(),
        },
        tunnels: BTreeMap::new(),
        addresses: BTreeSet::from([
            (LOOPBACK.to_owned(), address(joined.prefix).into()),
            (WIREGUARD.to_owned(), joined.link_address.into()),
        ]),
        routes: BTreeSet::from([
            Route::Through {
                to: link_network(joined.link_address),
                link: WIREGUARD.to_owned(),
            },
            Route::Unreachable(joined.network),
            Route::Unreachable(joined.prefix),
        ]),
    };
    for peer in peers(document) {
        let wireguard = links::Peer {
            allowed: peer.link_address,
            endpoint: endpoints.get(&peer.reference).copied(),
            keepalive: if document.is_hub() { 0 } else { KEEPALIVE },
        };
        desired
            .wireguard
            .peers
            .insert(peer.wireguard_public_key, wireguard);
        let name = tunnel_of(peer);
        desired.addresses.insert((name.clone(), link_local));
        let tunnel = Tunnel {
            local: joined.link_address,
            remote: peer.link_address,
            mtu: TUNNEL_MTU,
        };
        desired.tunnels.insert(name, tunnel);
    }
    desired
}

/// Returns what babeld shall do for a member.
pub fn babel(document: &Document, socket: String) -> Babel {
    let joined = &document.joined;
    Babel {
        network: joined.network,
        prefix: joined.prefix,
        address: address(joined.prefix),
        link_network: link_network(joined.link_address),
        interfaces: peers(document).map(tunnel_of).collect(),
        socket,
    }
}

/// Returns the members to be linked with.
pub(super) fn peers(document: &Document) -> impl Iterator<Item = &Peer> {
    let view = &document.joined.view;
    let wanted =
        move |peer: &&Peer| document.is_hub() || view.hub.as_ref() == Some(&peer.reference);
    view.peers.iter().filter(wanted)
}

/// Returns the one peer that a node needs, if it is a member already; the hub needs none.
pub(super) fn hub(document: &Document) -> Option<&Peer> {
    peers(document).find(|peer| document.joined.view.hub.as_ref() == Some(&peer.reference))
}

/// Returns the `host:port` of each peer that can be called first: the others call us.
pub(super) fn endpoint_names(document: &Document) -> BTreeMap<Reference, String> {
    let named = |peer: &Peer| {
        let told = peer.endpoint.clone();
        let is_hub = document.joined.view.hub.as_ref() == Some(&peer.reference);
        let beside_master = || {
            is_hub
                .then(|| host_of(&document.url))
                .flatten()
                .map(|host| format!("{host}:{}", peer.port))
        };
        Some((peer.reference.clone(), told.or_else(beside_master)?))
    };
    peers(document).filter_map(named).collect()
}

/// Returns the name of the tunnel to a peer.
pub(super) fn tunnel_of(peer: &Peer) -> String {
    tunnel_name(index_of(peer.link_address))
}

/// Returns a node's own address.
pub(super) fn address(prefix: Ipv6Net) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(prefix.network()) + 1)
}

fn host_of(url: &str) -> Option<String> {
    reqwest::Url::parse(url).ok()?.host_str().map(str::to_owned)
}

fn link_network(link_address: Ipv6Addr) -> Ipv6Net {
    Ipv6Net::new(link_address, 64)
        .expect("64 is at most 128")
        .trunc()
}

/// Returns a node's address on its tunnels: the same on each, for each is a network of its own.
fn link_local(link_address: Ipv6Addr) -> Ipv6Net {
    let bits = (0xfe80 << 112) | u128::from(index_of(link_address));
    Ipv6Net::new(Ipv6Addr::from(bits), 64).expect("64 is at most 128")
}

fn index_of(link_address: Ipv6Addr) -> u32 {
    let [.., high, low] = link_address.segments();
    u32::from(high) << 16 | u32::from(low)
}

#[cfg(test)]
pub(crate) mod tests;
