//! Which steps lead from the observed network of partitions to the desired one.
//!
//! Pure: it names no socket, and cannot fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::Ipv6Net;

use super::{PartitionNetwork, Tap, Uplink};
use crate::apart;

/// What the partitions shall have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Addresses on `lo`.
    pub addresses: BTreeSet<IpAddr>,
    /// Which of them are elsewhere while a partition has a network of its own, by the interface that leads there.
    pub apart: BTreeMap<String, IpAddr>,
    /// Ranges of which any address may be bound.
    pub ranges: BTreeSet<Ipv6Net>,
    /// Taps by name.
    pub taps: BTreeMap<String, Tap>,
    /// Where taps have their IPv4 from.
    pub uplink: Option<Uplink>,
}

impl From<&[PartitionNetwork]> for Desired {
    fn from(partitions: &[PartitionNetwork]) -> Self {
        let mut desired = Self::default();
        for partition in partitions {
            desired.addresses.insert(partition.ipv6.into());
            desired.addresses.insert(partition.ipv4.into());
            let link = apart::link_name(partition.index);
            desired.apart.insert(link, partition.ipv6.into());
            desired.ranges.insert(partition.ipv6_range);
            let tap = partition.tap.clone();
            desired.taps.insert(tap.name.clone(), tap);
        }
        desired
    }
}

/// What the kernel has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Host addresses on `lo`, and whether we put them there.
    pub addresses: BTreeMap<IpAddr, bool>,
    /// Interfaces that lead to partitions with a network of their own.
    pub apart: BTreeSet<String>,
    /// Local ranges that we put there.
    pub ranges: BTreeSet<Ipv6Net>,
    /// Interfaces with a name of ours.
    pub taps: BTreeMap<String, ObservedTap>,
    /// IPv4 addresses of other interfaces, and whether we put them there.
    pub uplinks: BTreeMap<Uplink, bool>,
    /// Interfaces that forward IPv4, and answer there for what is behind us.
    pub forwarding: BTreeSet<String>,
}

/// An interface named `slaptapN`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedTap {
    /// Whether it is a tap at all.
    pub is_tap: bool,
    /// The user who may open it.
    pub owner: Option<u32>,
    /// Whether it is set up.
    pub up: bool,
    /// Addresses that we put there, and any that is desired.
    pub addresses: BTreeSet<Ipv6Net>,
    /// Routes that we put there: destination and, if not direct, the gateway.
    pub routes: BTreeSet<(Ipv6Net, Option<Ipv6Addr>)>,
    /// IPv4 addresses that we route there.
    pub ways: BTreeSet<Ipv4Addr>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Removes an interface and everything on it.
    RemoveTap(String),
    /// Removes an address from `lo`.
    RemoveAddress(IpAddr),
    /// Makes a range no longer local.
    RemoveRange(Ipv6Net),
    /// Makes a persistent tap, or gives an existing one to another user.
    MakeTap { name: String, owner: u32 },
    /// Adds an address to `lo`.
    AddAddress(IpAddr),
    /// Makes a range local.
    AddRange(Ipv6Net),
    /// Sets a tap up.
    RaiseTap(String),
    /// Removes an address from a tap.
    RemoveTapAddress { tap: String, address: Ipv6Net },
    /// Adds an address to a tap.
    AddTapAddress { tap: String, address: Ipv6Net },
    /// Removes a direct route through a tap.
    RemoveTapLink { tap: String, to: Ipv6Net },
    /// Adds a direct route through a tap.
    AddTapLink { tap: String, to: Ipv6Net },
    /// Removes a route to a range behind the machine at a tap.
    RemoveTapRoute {
        tap: String,
        to: Ipv6Net,
        via: Ipv6Addr,
    },
    /// Adds a route to a range behind the machine at a tap.
    AddTapRoute {
        tap: String,
        to: Ipv6Net,
        via: Ipv6Addr,
    },
    /// Routes an IPv4 address no more to a tap.
    RemoveTapWay { tap: String, to: Ipv4Addr },
    /// Routes an IPv4 address to a tap.
    AddTapWay { tap: String, to: Ipv4Addr },
    /// Removes our address from where taps had their IPv4 from.
    RemoveUplink(Uplink),
    /// Adds our address where taps have their IPv4 from.
    AddUplink(Uplink),
    /// Has an interface forward IPv4, and answer there for what is behind us.
    Forward(String),
}

impl fmt::Display for Uplink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.address, self.interface)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemoveTap(name) => write!(f, "remove tap {name}"),
            Self::RemoveAddress(address) => write!(f, "remove address {address}"),
            Self::RemoveRange(range) => write!(f, "remove range {range}"),
            Self::MakeTap { name, owner } => write!(f, "make tap {name} of user {owner}"),
            Self::AddAddress(address) => write!(f, "add address {address}"),
            Self::AddRange(range) => write!(f, "add range {range}"),
            Self::RaiseTap(name) => write!(f, "set tap {name} up"),
            Self::RemoveTapAddress { tap, address } => {
                write!(f, "remove address {address} from {tap}")
            }
            Self::AddTapAddress { tap, address } => write!(f, "add address {address} to {tap}"),
            Self::RemoveTapLink { tap, to } => write!(f, "remove route to {to} through {tap}"),
            Self::AddTapLink { tap, to } => write!(f, "add route to {to} through {tap}"),
            Self::RemoveTapRoute { tap, to, via } => {
                write!(f, "remove route to {to} by {via} through {tap}")
            }
            Self::AddTapRoute { tap, to, via } => {
                write!(f, "add route to {to} by {via} through {tap}")
            }
            Self::RemoveTapWay { tap, to } => write!(f, "remove route to {to} through {tap}"),
            Self::AddTapWay { tap, to } => write!(f, "add route to {to} through {tap}"),
            Self::RemoveUplink(uplink) => write!(f, "remove address {uplink}"),
            Self::AddUplink(uplink) => write!(f, "add address {uplink}"),
            Self::Forward(interface) => write!(f, "forward IPv4 from {interface}"),
        }
    }
}

/// Returns the steps that turn `observed` into `desired`: removals, then taps, then the rest.
pub fn plan(desired: &Desired, observed: &Observed) -> Vec<Action> {
    let addresses = addresses_on_node(desired, observed);
    let mut actions = removals(desired, &addresses, observed);
    let mut late = Vec::new();
    let nothing = ObservedTap::default();
    for (name, tap) in &desired.taps {
        let found = observed
            .taps
            .get(name)
            .filter(|found| found.is_tap)
            .unwrap_or(&nothing);
        if !found.is_tap || found.owner != Some(tap.owner) {
            actions.push(Action::MakeTap {
                name: name.clone(),
                owner: tap.owner,
            });
        }
        late.extend(tap_steps(tap, found));
    }
    let missing = |address: &&IpAddr| !observed.addresses.contains_key(address);
    actions.extend(
        addresses
            .iter()
            .filter(missing)
            .map(|address| Action::AddAddress(*address)),
    );
    actions.extend(
        desired
            .ranges
            .difference(&observed.ranges)
            .map(|range| Action::AddRange(*range)),
    );
    actions.extend(late);
    actions.extend(uplink_steps(desired, observed));
    actions
}

/// The steps for where taps have their IPv4 from: the machines behind them find the world there, and it finds them.
fn uplink_steps(desired: &Desired, observed: &Observed) -> Vec<Action> {
    let mut steps = Vec::new();
    let missing = |uplink: &&Uplink| !observed.uplinks.contains_key(uplink);
    let uplink = desired.uplink.iter();
    steps.extend(uplink.filter(missing).cloned().map(Action::AddUplink));
    let taps = desired.taps.values().filter(|tap| tap.ipv4.is_some());
    let forward = desired
        .uplink
        .iter()
        .map(|it| &it.interface)
        .chain(taps.map(|tap| &tap.name));
    let forward = forward.filter(|name| !observed.forwarding.contains(*name));
    steps.extend(forward.cloned().map(Action::Forward));
    steps
}

/// Returns the addresses that shall be on `lo`: not those that are in a network of their own.
fn addresses_on_node(desired: &Desired, observed: &Observed) -> BTreeSet<IpAddr> {
    let links = observed.apart.iter();
    let apart: BTreeSet<_> = links.filter_map(|link| desired.apart.get(link)).collect();
    let addresses = desired.addresses.iter();
    addresses
        .filter(|address| !apart.contains(address))
        .copied()
        .collect()
}

fn removals(desired: &Desired, on_node: &BTreeSet<IpAddr>, observed: &Observed) -> Vec<Action> {
    let taps = observed
        .taps
        .iter()
        .filter(|(name, tap)| !desired.taps.contains_key(*name) || !tap.is_tap)
        .map(|(name, _)| Action::RemoveTap(name.clone()));
    let addresses = observed
        .addresses
        .iter()
        .filter(|(address, ours)| **ours && !on_node.contains(address))
        .map(|(address, _)| Action::RemoveAddress(*address));
    let ranges = observed
        .ranges
        .difference(&desired.ranges)
        .map(|range| Action::RemoveRange(*range));
    let is_over =
        |(uplink, ours): &(&Uplink, &bool)| **ours && desired.uplink.as_ref() != Some(*uplink);
    let uplinks = observed.uplinks.iter().filter(is_over);
    let uplinks = uplinks.map(|(uplink, _)| Action::RemoveUplink(uplink.clone()));
    taps.chain(addresses).chain(ranges).chain(uplinks).collect()
}

/// The steps for what is on a tap; its gateway must be reachable before the range is routed to it.
fn tap_steps(tap: &Tap, found: &ObservedTap) -> Vec<Action> {
    let address =
        Ipv6Net::new(tap.address, tap.range.prefix_len()).expect("the length of a network");
    let addresses = BTreeSet::from([address]);
    let routes = BTreeSet::from([
        (Ipv6Net::from(tap.gateway), None),
        (tap.range, Some(tap.gateway)),
    ]);
    let name = || tap.name.clone();

    let mut steps = Vec::new();
    // The route behind the gateway goes before the route to it.
    for (to, via) in found.routes.difference(&routes) {
        match via {
            Some(via) => steps.insert(
                0,
                Action::RemoveTapRoute {
                    tap: name(),
                    to: *to,
                    via: *via,
                },
            ),
            None => steps.push(Action::RemoveTapLink {
                tap: name(),
                to: *to,
            }),
        }
    }
    let stale = found.addresses.difference(&addresses);
    steps.extend(stale.map(|address| Action::RemoveTapAddress {
        tap: name(),
        address: *address,
    }));
    if !found.up {
        steps.push(Action::RaiseTap(name()));
    }
    if !found.addresses.contains(&address) {
        steps.push(Action::AddTapAddress {
            tap: name(),
            address,
        });
    }
    let gateway = Ipv6Net::from(tap.gateway);
    if !found.routes.contains(&(gateway, None)) {
        steps.push(Action::AddTapLink {
            tap: name(),
            to: gateway,
        });
    }
    if !found.routes.contains(&(tap.range, Some(tap.gateway))) {
        steps.push(Action::AddTapRoute {
            tap: name(),
            to: tap.range,
            via: tap.gateway,
        });
    }
    steps.extend(way_steps(tap, found));
    steps
}

/// The steps for the IPv4 address that is routed to a tap.
fn way_steps(tap: &Tap, found: &ObservedTap) -> Vec<Action> {
    let ways: BTreeSet<Ipv4Addr> = tap.ipv4.into_iter().collect();
    let tap = || tap.name.clone();
    let stale = found.ways.difference(&ways);
    let missing = ways.difference(&found.ways);
    let removals = stale.map(|to| Action::RemoveTapWay {
        tap: tap(),
        to: *to,
    });
    let additions = missing.map(|to| Action::AddTapWay {
        tap: tap(),
        to: *to,
    });
    removals.chain(additions).collect()
}

#[cfg(test)]
mod tests;
