//! Reads from the kernel what links there are: dumps only, no change.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::SystemTime;

use ipnet::Ipv6Net;
use nix::net::if_::if_indextoname;
use rtnetlink::packet_route::link::{InfoKind, LinkMessage};
use rtnetlink::packet_route::route::RouteProtocol;

use super::{
    Error, LOOPBACK, Observed, ObservedPeer, ObservedTunnel, ObservedWireGuard, Plane, Refusal,
    Route, WIREGUARD, is_tunnel_name, wireguard,
};
use crate::netlink::{self, Netlink, Owner, Via};
use crate::userspace::{Seen, SeenLinks, SeenPeer};

/// Returns what there is, and the kernel's number of each interface that matters.
pub(super) async fn observe(
    netlink: &Netlink,
    plane: &Plane,
    now: SystemTime,
) -> Result<(Observed, BTreeMap<String, u32>), Error> {
    let seen = ask(plane).await?;
    let mut observed = Observed::default();
    let mut names = BTreeMap::new();
    for link in netlink.links().await.map_err(Error::Observe)? {
        let Some(name) = netlink::name_of(&link) else {
            continue;
        };
        if add_link(&mut observed, name, &link, seen.as_ref()) {
            names.insert(link.header.index, name.to_owned());
        }
    }
    add_addresses(&mut observed, &names, netlink)
        .await
        .map_err(Error::Observe)?;
    add_routes(&mut observed, &names, netlink)
        .await
        .map_err(Error::Observe)?;
    if let Some(found) = &mut observed.wireguard {
        add_wireguard(found, seen, now).await?;
    }
    let indexes = names
        .into_iter()
        .map(|(index, name)| (name, index))
        .collect();
    Ok((observed, indexes))
}

/// Returns what there was, with the peers' state and Babel's routes as they are now.
pub(super) async fn observe_again(
    netlink: &Netlink,
    plane: &Plane,
    seen: &Observed,
    now: SystemTime,
) -> Result<Observed, Error> {
    let mut observed = Observed {
        babel: BTreeMap::new(),
        ..seen.clone()
    };
    let name_of = |link| if_indextoname(link).ok()?.into_string().ok();
    add_babel_routes(&mut observed, name_of, netlink)
        .await
        .map_err(Error::Observe)?;
    if let Some(found) = &mut observed.wireguard {
        found.peers.clear();
        add_wireguard(found, ask(plane).await?, now).await?;
    }
    Ok(observed)
}

/// Asks a plane of our own what there is; the kernel is asked by netlink.
async fn ask(plane: &Plane) -> Result<Option<Seen>, Error> {
    match plane {
        Plane::Kernel => Ok(None),
        Plane::Userspace(plane) => {
            let seen = plane.look().await.map_err(Refusal::Plane);
            seen.map(Some).map_err(Error::ObserveWireGuard)
        }
    }
}

/// Takes in what the plane knows of keys and peers.
async fn add_wireguard(
    found: &mut ObservedWireGuard,
    seen: Option<Seen>,
    now: SystemTime,
) -> Result<(), Error> {
    match seen {
        None => wireguard::observe(found, now)
            .await
            .map_err(Error::ObserveWireGuard),
        Some(seen) => {
            seen.links
                .into_iter()
                .for_each(|links| read_links(found, links));
            Ok(())
        }
    }
}

fn read_links(found: &mut ObservedWireGuard, links: SeenLinks) {
    let observed = |peer: SeenPeer| ObservedPeer {
        allowed: peer.allowed.into_iter().collect(),
        endpoint: peer.endpoint,
        keepalive: peer.keepalive,
        handshake_age: peer.handshake_age,
        traffic: peer.traffic,
    };
    found.private_key = links.private_key;
    found.port = links.port;
    let peers = links.peers.into_iter();
    found
        .peers
        .extend(peers.map(|(key, peer)| (key, observed(peer))));
}

/// Takes an interface in if it is one of ours or the loopback; what another plane carries is an impostor.
fn add_link(observed: &mut Observed, name: &str, link: &LinkMessage, seen: Option<&Seen>) -> bool {
    let up = netlink::is_up(link);
    let mtu = netlink::mtu_of(link).unwrap_or_default();
    if is_wireguard(name, link, seen) {
        observed.wireguard = Some(ObservedWireGuard {
            up,
            mtu,
            ..ObservedWireGuard::default()
        });
    } else if let Some(ends) = tunnel_ends(name, link, seen) {
        let tunnel = ObservedTunnel { ends, mtu, up };
        observed.tunnels.insert(name.to_owned(), tunnel);
    } else if name == WIREGUARD || is_tunnel_name(name) {
        observed.impostors.insert(name.to_owned());
    } else {
        return name == LOOPBACK;
    }
    true
}

fn is_wireguard(name: &str, link: &LinkMessage, seen: Option<&Seen>) -> bool {
    let is_carried = match seen {
        None => netlink::kind_of(link) == Some(&InfoKind::Wireguard),
        Some(seen) => {
            let links = seen.links.as_ref();
            links.is_some_and(|links| links.index == link.header.index)
        }
    };
    name == WIREGUARD && is_carried
}

/// Returns both ends of a tunnel, as far as they are known, if it is one of the plane's.
fn tunnel_ends(
    name: &str,
    link: &LinkMessage,
    seen: Option<&Seen>,
) -> Option<Option<(Ipv6Addr, Ipv6Addr)>> {
    let Some(seen) = seen else {
        let is_tunnel = netlink::kind_of(link) == Some(&InfoKind::Ip6Tnl) && is_tunnel_name(name);
        return is_tunnel.then(|| netlink::tunnel_ends(link));
    };
    let tunnel = seen.tunnels.get(name);
    let tunnel = tunnel.filter(|tunnel| tunnel.index == link.header.index);
    tunnel.map(|tunnel| Some(tunnel.ends))
}

async fn add_addresses(
    observed: &mut Observed,
    names: &BTreeMap<u32, String>,
    netlink: &Netlink,
) -> Result<(), netlink::Error> {
    for message in netlink.addresses().await? {
        let Some((host, ours)) = netlink::address_of(&message, Owner::Links) else {
            continue;
        };
        let Some(name) = names.get(&host.link) else {
            continue;
        };
        if let IpAddr::V6(address) = host.address
            && (ours || name != LOOPBACK)
        {
            let address = Ipv6Net::new(address, host.length).ok();
            observed
                .addresses
                .extend(address.map(|address| (name.clone(), address)));
        }
    }
    Ok(())
}

async fn add_routes(
    observed: &mut Observed,
    names: &BTreeMap<u32, String>,
    netlink: &Netlink,
) -> Result<(), netlink::Error> {
    for message in netlink.routes(Owner::Links.protocol()).await? {
        let route = match netlink::route_of(&message) {
            Some((to, Via::Link(link))) => names.get(&link).map(|link| Route::Through {
                to,
                link: link.clone(),
            }),
            Some((to, Via::Unreachable)) => Some(Route::Unreachable(to)),
            _ => None,
        };
        observed.routes.extend(route);
    }
    add_babel_routes(observed, |link| names.get(&link).cloned(), netlink).await
}

/// Takes in where Babel routes to through the interfaces that `name_of` knows.
async fn add_babel_routes(
    observed: &mut Observed,
    name_of: impl Fn(u32) -> Option<String>,
    netlink: &Netlink,
) -> Result<(), netlink::Error> {
    for message in netlink.routes(RouteProtocol::Babel).await? {
        if let Some((to, Via::Gateway(link, _))) = netlink::route_of(&message)
            && let Some(name) = name_of(link)
        {
            observed.babel.insert(to, name);
        }
    }
    Ok(())
}
