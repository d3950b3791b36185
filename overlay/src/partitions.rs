//! The network of a node's partitions: addresses and local ranges on `lo`, one tap each.
//!
//! `network_of` says what a partition has, `plan` what is missing or left over; only `observe`, `apply` and
//! `reconcile` talk to the kernel.

mod apply;
mod observe;
mod plan;

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::netlink::{self, Netlink};

pub use apply::Failure;
pub use plan::{Action, Desired, Observed, ObservedTap, plan};

/// First value of the 16-bit field that follows the node's prefix in a partition's range, less one.
const RANGES: u16 = 0x4000;
/// The same for the ranges behind taps.
const TAP_RANGES: u16 = 0x8000;
/// How many partitions the address plan has room for; an index beyond wraps.
pub const MAX_PARTITIONS: u16 = 0x3fff;

/// The tap of a partition: a virtual machine behind it has the gateway's address and the range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap {
    /// `slaptapN`.
    pub name: String,
    /// The user who may open it, by number.
    pub owner: u32,
    /// What is routed to it.
    pub range: Ipv6Net,
    /// The first address of the range: the machine behind the tap.
    pub gateway: Ipv6Addr,
    /// The last address of the range: our end.
    pub address: Ipv6Addr,
    /// What is routed to it of the uplink's network, for the machine behind it.
    pub ipv4: Option<Ipv4Addr>,
}

/// The interface from whose IPv4 network taps have addresses: we answer there for the machines behind taps, and are
/// their gateway.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uplink {
    /// The interface.
    pub interface: String,
    /// Our own address there, with the length of the network.
    pub address: Ipv4Net,
}

/// Everything of the network that belongs to one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionNetwork {
    /// Which partition, from 0.
    pub index: u16,
    /// Its own address.
    pub ipv6: Ipv6Addr,
    /// Any address of this range may be bound by it, without being configured.
    pub ipv6_range: Ipv6Net,
    /// Its address for what speaks only IPv4, local to the node.
    pub ipv4: Ipv4Addr,
    /// Its tap.
    pub tap: Tap,
}

/// What `reconcile` did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many things were not as desired and were changed.
    pub changed: usize,
    /// What could not be changed; the rest was.
    pub failures: Vec<Failure>,
}

/// What keeps `reconcile` from doing anything at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel's tables cannot be read.
    #[error("failed to observe the partitions' network")]
    Observe(#[source] netlink::Error),
}

/// Makes the kernel have the desired partitions' network and no other partition's.
///
/// A second run dumps four tables and changes nothing. Interfaces, addresses and routes of others stay.
pub async fn reconcile(
    desired: &[PartitionNetwork],
    uplink: Option<&Uplink>,
) -> Result<Outcome, Error> {
    let netlink = Netlink::open().map_err(Error::Observe)?;
    let (observed, mut indexes) = observe::observe(&netlink).await.map_err(Error::Observe)?;
    let desired = Desired {
        uplink: uplink.cloned(),
        ..Desired::from(desired)
    };
    let actions = plan(&desired, &observed);
    Ok(apply::apply(&netlink, &mut indexes, actions).await)
}

/// Returns the network of partition `index` (from 0) of the node with `prefix`, as SlapOS lays it out:
/// `P::(i+2)`, `P:(4000+i+1)::`, `P:(8000+i+1)::`, `10.0.0.0/16 + (i+2)`.
///
/// The prefix is a /64 in practice; anything up to /96 leaves room for the 16-bit field.
pub fn network_of(prefix: Ipv6Net, index: u16, owner_uid: u32) -> PartitionNetwork {
    let index = index % MAX_PARTITIONS;
    let tap_range = subnet(prefix, TAP_RANGES + index + 1);
    PartitionNetwork {
        index,
        ipv6: Ipv6Addr::from(u128::from(prefix.network()) + u128::from(index) + 2),
        ipv6_range: subnet(prefix, RANGES + index + 1),
        ipv4: Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + u32::from(index) + 2),
        tap: Tap {
            name: format!("slaptap{index}"),
            owner: owner_uid,
            range: tap_range,
            gateway: Ipv6Addr::from(u128::from(tap_range.network()) + 1),
            address: tap_range.broadcast(),
            ipv4: None,
        },
    }
}

fn subnet(prefix: Ipv6Net, field: u16) -> Ipv6Net {
    let length = prefix.prefix_len().min(96) + 16;
    let bits = u128::from(prefix.network()) | (u128::from(field) << (128 - length));
    Ipv6Net::new(Ipv6Addr::from(bits), length).expect("at most 96 + 16")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_has_the_addresses_slapos_would_give() {
        let network = network_of("fd12:3456:789a:1::/64".parse().unwrap(), 198, 5198);
        assert_eq!(
            network.ipv6,
            "fd12:3456:789a:1::c8".parse::<Ipv6Addr>().unwrap()
        );
        assert_eq!(
            network.ipv6_range,
            "fd12:3456:789a:1:40c7::/80".parse().unwrap()
        );
        assert_eq!(network.ipv4, Ipv4Addr::new(10, 0, 0, 200));
        assert_eq!(network.tap.name, "slaptap198");
        assert_eq!(network.tap.owner, 5198);
        assert_eq!(
            network.tap.range,
            "fd12:3456:789a:1:80c7::/80".parse().unwrap()
        );
        assert_eq!(
            network.tap.gateway,
            "fd12:3456:789a:1:80c7::1".parse::<Ipv6Addr>().unwrap()
        );
        assert_eq!(
            network.tap.address,
            "fd12:3456:789a:1:80c7:ffff:ffff:ffff"
                .parse::<Ipv6Addr>()
                .unwrap()
        );
    }

    #[test]
    fn no_two_partitions_share_anything() {
        let prefix = "2001:db8:0:7::/64".parse().unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..MAX_PARTITIONS {
            let network = network_of(prefix, index, 0);
            assert!(seen.insert(network.ipv6.to_string()));
            assert!(seen.insert(network.ipv6_range.to_string()));
            assert!(seen.insert(network.tap.range.to_string()));
            assert!(seen.insert(network.ipv4.to_string()));
        }
    }
}
