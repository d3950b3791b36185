//! Reads from the kernel what links there are: dumps only, no change.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use ipnet::Ipv6Net;
use nix::net::if_::if_indextoname;
use rtnetlink::packet_route::link::{InfoKind, LinkMessage};
use rtnetlink::packet_route::route::RouteProtocol;

use super::{
    Error, LOOPBACK, Observed, ObservedTunnel, ObservedWireGuard, Route, WIREGUARD, is_tunnel_name,
    wireguard,
};
use crate::netlink::{self, Netlink, Owner, Via};

/// Returns what there is, and the kernel's number of each interface that matters.
pub(super) async fn observe(
    netlink: &Netlink,
    now: SystemTime,
) -> Result<(Observed, BTreeMap<String, u32>), Error> {
    let mut observed = Observed::default();
    let mut names = BTreeMap::new();
    for link in netlink.links().await.map_err(Error::Observe)? {
        let Some(name) = netlink::name_of(&link) else {
            continue;
        };
        if add_link(&mut observed, name, &link) {
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
        wireguard::observe(found, now)
            .await
            .map_err(Error::ObserveWireGuard)?;
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
        wireguard::observe(found, now)
            .await
            .map_err(Error::ObserveWireGuard)?;
    }
    Ok(observed)
}

/// Takes an interface in if it is one of ours or the loopback.
fn add_link(observed: &mut Observed, name: &str, link: &LinkMessage) -> bool {
    let up = netlink::is_up(link);
    let mtu = netlink::mtu_of(link).unwrap_or_default();
    match netlink::kind_of(link) {
        Some(InfoKind::Wireguard) if name == WIREGUARD => {
            observed.wireguard = Some(ObservedWireGuard {
                up,
                mtu,
                ..ObservedWireGuard::default()
            });
        }
        Some(InfoKind::Ip6Tnl) if is_tunnel_name(name) => {
            let tunnel = ObservedTunnel {
                ends: netlink::tunnel_ends(link),
                mtu,
                up,
            };
            observed.tunnels.insert(name.to_owned(), tunnel);
        }
        _ if name == WIREGUARD || is_tunnel_name(name) => {
            observed.impostors.insert(name.to_owned());
        }
        _ => return name == LOOPBACK,
    }
    true
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
