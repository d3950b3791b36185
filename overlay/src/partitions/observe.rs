//! Reads from the kernel what partitions have: four dumps and a few settings, no change.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::{Ipv4Net, Ipv6Net};
use rtnetlink::packet_route::link::InfoKind;

use super::Uplink;
use super::plan::{Observed, ObservedTap};
use crate::apart;
use crate::netlink::{self, Netlink, Owner, Via};

/// The name of the interface that carries the partitions' addresses.
pub(super) const LOOPBACK: &str = "lo";

/// Returns what there is, and the kernel's number of each interface that matters.
pub(super) async fn observe(
    netlink: &Netlink,
) -> Result<(Observed, BTreeMap<String, u32>), netlink::Error> {
    let mut observed = Observed::default();
    let mut names = BTreeMap::new();
    for link in netlink.links().await? {
        let Some(name) = netlink::name_of(&link) else {
            continue;
        };
        if is_tap_name(name) {
            let tap = ObservedTap {
                is_tap: netlink::kind_of(&link) == Some(&InfoKind::Tun),
                owner: netlink::tap_owner(&link),
                up: netlink::is_up(&link),
                ..ObservedTap::default()
            };
            observed.taps.insert(name.to_owned(), tap);
        } else if name.starts_with(apart::LINK_PREFIX) {
            observed.apart.insert(name.to_owned());
            continue;
        }
        if name != LOOPBACK && forwards(name) {
            observed.forwarding.insert(name.to_owned());
        }
        names.insert(link.header.index, name.to_owned());
    }
    add_addresses(&mut observed, &names, netlink).await?;
    add_routes(&mut observed, &names, netlink).await?;
    let indexes = names
        .into_iter()
        .map(|(index, name)| (name, index))
        .collect();
    Ok((observed, indexes))
}

async fn add_addresses(
    observed: &mut Observed,
    names: &BTreeMap<u32, String>,
    netlink: &Netlink,
) -> Result<(), netlink::Error> {
    for message in netlink.addresses().await? {
        let Some((host, ours)) = netlink::address_of(&message, Owner::Partitions) else {
            continue;
        };
        let Some(name) = names.get(&host.link) else {
            continue;
        };
        match (observed.taps.get_mut(name), host.address) {
            (Some(tap), IpAddr::V6(address)) if ours => {
                tap.addresses.extend(Ipv6Net::new(address, host.length));
            }
            (None, address) if name == LOOPBACK && host.length == full_length(address) => {
                observed.addresses.insert(address, ours);
            }
            (None, IpAddr::V4(address)) if name != LOOPBACK => {
                let address = Ipv4Net::new(address, host.length).ok();
                let uplink = address.map(|address| Uplink {
                    interface: name.clone(),
                    address,
                });
                observed.uplinks.extend(uplink.map(|uplink| (uplink, ours)));
            }
            _ => {}
        }
    }
    Ok(())
}

async fn add_routes(
    observed: &mut Observed,
    names: &BTreeMap<u32, String>,
    netlink: &Netlink,
) -> Result<(), netlink::Error> {
    for message in netlink.ways(Owner::Partitions.protocol()).await? {
        if let Some((to, link)) = netlink::way_of(&message)
            && let Some(name) = names.get(&link)
            && let Some(tap) = observed.taps.get_mut(name)
        {
            tap.ways.insert(to);
        }
    }
    for message in netlink.routes(Owner::Partitions.protocol()).await? {
        let (link, route) = match netlink::route_of(&message) {
            Some((to, Via::Local(_))) => {
                observed.ranges.insert(to);
                continue;
            }
            Some((to, Via::Link(link))) => (link, (to, None)),
            Some((to, Via::Gateway(link, gateway))) => (link, (to, Some(gateway))),
            Some((_, Via::Unreachable)) | None => continue,
        };
        if let Some(tap) = names
            .get(&link)
            .and_then(|name| observed.taps.get_mut(name))
        {
            tap.routes.insert(route);
        }
    }
    Ok(())
}

/// The settings of an interface that let IPv4 through, and let us answer for it.
pub(super) fn settings(interface: &str) -> [String; 2] {
    ["forwarding", "proxy_arp"].map(|name| format!("/proc/sys/net/ipv4/conf/{interface}/{name}"))
}

fn forwards(interface: &str) -> bool {
    let is_on = |path: String| std::fs::read(path).is_ok_and(|text| text.starts_with(b"1"));
    settings(interface).into_iter().all(is_on)
}

fn is_tap_name(name: &str) -> bool {
    name.strip_prefix("slaptap")
        .is_some_and(|number| number.parse::<u16>().is_ok())
}

fn full_length(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}
