//! What the kernel shall have: every member is a peer of WireGuard, who can be spoken to at once; tunnels, by which Babel routes, are those that
//! the neighbours have agreed on.
//!
//! Pure: a document, the node's key and its tunnels in, the overlay's desired state out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::Ipv6Net;
use slapbox_overlay::babel::{Babel, Origin};
use slapbox_overlay::keys::PrivateKey;
use slapbox_overlay::links::{
    self, Desired, LOOPBACK, Observed, Route, WIREGUARD, WireGuard, spare_name, tunnel_name,
};

use super::document::Document;
use super::neighbours::{Tunnel, Way};
use crate::mesh::Member;
use crate::reference::Reference;
use crate::wire::{Peer, number_of};

/// What an Ethernet leaves of 1500 bytes to WireGuard over IPv6.
const WIREGUARD_MTU: u32 = 1420;
/// What that leaves to a packet in another header of IPv6.
pub(super) const TUNNEL_MTU: u32 = WIREGUARD_MTU - 40;
/// How many addresses of a machine are told.
const MOST_ADDRESSES: usize = 16;

/// Something of each tunnel of a node, by who is at its other end.
pub(super) type Tunnels<T = Tunnel> = BTreeMap<Member, T>;

/// Returns the links of a member; `endpoints` tells where peers are, as far as that is known.
pub(super) fn desired(
    document: &Document,
    key: &PrivateKey,
    endpoints: &BTreeMap<Reference, SocketAddr>,
    tunnels: &Tunnels,
) -> Desired {
    let joined = &document.joined;
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
            (WIREGUARD.to_owned(), spare_end(joined.link_address).into()),
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
    for peer in &joined.view.peers {
        let wireguard = links::Peer {
            allowed: own_links(peer.link_address),
            endpoint: endpoints.get(&peer.reference).copied(),
            moves: false,
            // Tunnels beat more often than any NAT forgets, and nobody else is spoken to.
            keepalive: 0,
        };
        desired
            .wireguard
            .peers
            .insert(peer.wireguard_public_key, wireguard);
        let Some(tunnel) = tunnels.get(&Member(peer.number())) else {
            continue;
        };
        let (local, remote) = (joined.link_address, peer.link_address);
        let mut between = |name: String, local: Ipv6Addr, remote: Ipv6Addr| {
            desired.addresses.insert((name.clone(), link_local(local)));
            let mtu = TUNNEL_MTU;
            let tunnel = links::Tunnel { local, remote, mtu };
            desired.tunnels.insert(name, tunnel);
        };
        between(tunnel_of(peer), local, remote);
        if tunnel.way != Way::Main {
            between(spare_of(peer), spare_end(local), spare_end(remote));
        }
    }
    desired
}

/// Returns what babeld shall do for a member.
pub(super) fn babel(document: &Document, tunnels: &Tunnels, socket: String) -> Babel {
    let joined = &document.joined;
    let interfaces = |peer: &Peer| {
        let way = tunnels.get(&Member(peer.number())).map(|it| it.way);
        let main = way.filter(|way| *way != Way::Spare);
        let spare = way.filter(|way| *way != Way::Main);
        let main = main.map(|_| tunnel_of(peer));
        main.into_iter().chain(spare.map(|_| spare_of(peer)))
    };
    Babel {
        network: joined.network,
        prefix: joined.prefix,
        address: address(joined.prefix),
        link_network: link_network(joined.link_address),
        interfaces: joined.view.peers.iter().flat_map(interfaces).collect(),
        socket,
    }
}

/// Returns who of the neighbours says that another member's prefix is theirs, and whose.
pub(super) fn liars(
    document: &Document,
    origins: &[Origin],
) -> Vec<(Reference, Member, Reference)> {
    let joined = &document.joined;
    let peers = &joined.view.peers;
    let owner = |prefix: Ipv6Net| {
        let own = (prefix == joined.prefix).then_some(&document.facts.reference);
        let other = || peers.iter().find(|peer| peer.prefix == prefix);
        own.or_else(|| other().map(|peer| &peer.reference))
    };
    let behind = |link: &str| {
        let mut all = peers.iter();
        all.find(|peer| {
            [tunnel_of(peer), spare_of(peer)]
                .iter()
                .any(|it| it == link)
        })
    };
    let lie = |origin: &Origin| {
        let (owner, neighbour) = (owner(origin.prefix)?, behind(&origin.interface)?);
        let is_lie = *owner != neighbour.reference;
        let liar = || {
            (
                neighbour.reference.clone(),
                Member(neighbour.number()),
                owner.clone(),
            )
        };
        is_lie.then(liar)
    };
    origins.iter().filter_map(lie).collect()
}

/// Returns how many destinations are reached by each tunnel.
pub(super) fn uses(document: &Document, tunnels: &Tunnels, observed: &Observed) -> Tunnels<u64> {
    let peers = document.joined.view.peers.iter();
    let names: BTreeMap<String, Member> = peers
        .map(|peer| (peer, Member(peer.number())))
        .filter(|(_, member)| tunnels.contains_key(member))
        .flat_map(|(peer, member)| {
            let names = [tunnel_of(peer), spare_of(peer)];
            names.map(|name| (name, member))
        })
        .collect();
    let mut uses: Tunnels<u64> = names.values().map(|member| (*member, 0)).collect();
    for link in observed.babel.values() {
        if let Some(count) = names.get(link).and_then(|member| uses.get_mut(member)) {
            *count += 1;
        }
    }
    uses
}

/// Returns at which addresses neighbours are seen.
pub(super) fn seen(
    document: &Document,
    tunnels: &Tunnels,
    observed: &Observed,
) -> Tunnels<SocketAddr> {
    let peers = document.joined.view.peers.iter();
    let seen = peers.filter_map(|peer| {
        let member = Member(peer.number());
        tunnels.get(&member)?;
        let found = observed.peer(&peer.wireguard_public_key)?;
        Some((member, found.endpoint?))
    });
    seen.collect()
}

/// Returns who there is, the node itself among them, in ascending order.
pub(super) fn members(document: &Document) -> Vec<Member> {
    let joined = &document.joined;
    let others = joined.view.peers.iter().map(Peer::number);
    let all = others.chain([number_of(joined.link_address)]).map(Member);
    let all: BTreeSet<_> = all.collect();
    all.into_iter().collect()
}

/// Returns who can be called from anywhere, since it is told where they are.
pub(super) fn public(document: &Document) -> Vec<Member> {
    let view = &document.joined.view;
    let is_public =
        |peer: &&Peer| peer.endpoint.is_some() || view.host.as_ref() == Some(&peer.reference);
    let peers = view.peers.iter().filter(is_public);
    peers.map(|peer| Member(peer.number())).collect()
}

/// Returns the `host:port` at which peers may be called, the best first.
pub(super) fn endpoint_names(document: &Document) -> BTreeMap<Reference, Vec<String>> {
    let view = &document.joined.view;
    let names = |peer: &Peer| {
        let is_host = view.host.as_ref() == Some(&peer.reference);
        let beside_master = host_of(&document.url).filter(|_| is_host);
        let beside_master = beside_master.map(|host| format!("{host}:{}", peer.port));
        let told = peer.endpoint.clone().or(beside_master);
        let own = &document.facts.addresses;
        let mut addresses = peer.addresses.clone();
        // Behind the same NAT a way by its outside may lead nowhere: then what is inside comes first.
        let outside = |at: &SocketAddr| own.iter().any(|own| own.ip() == at.ip());
        addresses.sort_by_key(outside);
        let addresses = addresses.iter().map(ToString::to_string);
        let mut names: Vec<String> = told.into_iter().chain(addresses).collect();
        let mut known = BTreeSet::new();
        names.retain(|name| known.insert(name.clone()));
        (peer.reference.clone(), names)
    };
    view.peers.iter().map(names).collect()
}

/// Returns where others might reach a node: at which addresses they see it, and those that its machine's interfaces have.
pub(super) fn reachable(
    seen: &[SocketAddr],
    all: impl IntoIterator<Item = (String, IpAddr)>,
    port: u16,
) -> Vec<SocketAddr> {
    let is_of_ours = |name: &str| name == LOOPBACK || name.starts_with("sl");
    let is_local = |address: &IpAddr| match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified(),
    };
    let all = all.into_iter();
    let good = all.filter(|(name, address)| !is_of_ours(name) && !is_local(address));
    let good: BTreeSet<IpAddr> = good.map(|(_, address)| address).collect();
    let own = good.into_iter().map(|ip| SocketAddr::new(ip, port));
    let mut known = BTreeSet::new();
    let all = seen.iter().copied().chain(own);
    all.filter(|at| known.insert(*at))
        .take(MOST_ADDRESSES)
        .collect()
}

/// Where another member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whereabouts {
    /// Its own address.
    pub(super) door: Ipv6Addr,
    endpoint: Option<String>,
    addresses: Vec<SocketAddr>,
}

/// Returns where all members are.
pub(super) fn whereabouts(document: &Document) -> BTreeMap<Member, Whereabouts> {
    let peers = document.joined.view.peers.iter();
    let of = |peer: &Peer| Whereabouts {
        door: address(peer.prefix),
        endpoint: peer.endpoint.clone(),
        addresses: peer.addresses.clone(),
    };
    peers
        .map(|peer| (Member(peer.number()), of(peer)))
        .collect()
}

/// Returns the name of the tunnel to a peer.
pub(super) fn tunnel_of(peer: &Peer) -> String {
    tunnel_name(peer.number())
}

/// Returns the name of the spare tunnel to a peer, by which routes lead for lack of others only.
pub(super) fn spare_of(peer: &Peer) -> String {
    spare_name(peer.number())
}

/// Returns a node's own address.
pub(super) fn address(prefix: Ipv6Net) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(prefix.network()) + 1)
}

fn host_of(url: &str) -> Option<String> {
    reqwest::Url::parse(url).ok()?.host_str().map(str::to_owned)
}

/// Returns the address of another member on its WireGuard interface, of one's own.
pub(super) fn link_address(own: Ipv6Addr, member: Member) -> Ipv6Addr {
    let network = u128::from(link_network(own).network());
    Ipv6Addr::from(network | u128::from(member.0) << 32 | 1)
}

/// Returns what a member has of that network.
fn own_links(link_address: Ipv6Addr) -> Ipv6Net {
    Ipv6Net::new(link_address, 96)
        .expect("96 is at most 128")
        .trunc()
}

/// Returns where a member's spare tunnels end.
fn spare_end(link_address: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(link_address) + 1)
}

/// Returns the network that all link addresses are of.
pub(super) fn link_network(link_address: Ipv6Addr) -> Ipv6Net {
    Ipv6Net::new(link_address, 64)
        .expect("64 is at most 128")
        .trunc()
}

/// Returns a node's address on its tunnels: the same on each, for each is a network of its own.
fn link_local(link_address: Ipv6Addr) -> Ipv6Net {
    let bits = (0xfe80 << 112) | u128::from(number_of(link_address));
    Ipv6Net::new(Ipv6Addr::from(bits), 64).expect("64 is at most 128")
}

#[cfg(test)]
pub(crate) mod tests;
