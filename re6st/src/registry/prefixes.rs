//! How the network's space is shared: a prefix of /64 a member, in the part of the network that is its region's, if it has one.
//!
//! Free space is what nobody has: there is no second account of it. A prefix is cut out of the smallest free block that it fits in, so that
//! large ones stay whole, and what is given back is whole again with what is free beside it. Pure: chance comes from the caller.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

/// The prefix length of every member.
pub(super) const MEMBER: u8 = 64;
/// How long a network's own prefix may be: shorter ones are not one operator's, in longer ones nobody fits.
const NETWORK: std::ops::RangeInclusive<u8> = 32..=60;

/// A network that cannot be shared like this.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoNetwork {
    #[error("{0} cannot be shared: a network is an IPv6 prefix of /32 to /60")]
    Length(Ipv6Net),
    #[error("{0}, which the region `{1}` shall have, is no part of {2} that members fit in")]
    Outside(Ipv6Net, String, Ipv6Net),
    #[error("the regions `{0}` and `{1}` cannot both have {2}")]
    Overlap(String, String, Ipv6Net),
}

/// Returns the network if members fit in.
pub(super) fn check(network: Ipv6Net) -> Result<Ipv6Net, NoNetwork> {
    if NETWORK.contains(&network.prefix_len()) && !network.addr().is_multicast() {
        Ok(network.trunc())
    } else {
        Err(NoNetwork::Length(network))
    }
}

/// Returns the parts of the network that are regions', if each has its own.
pub(super) fn check_regions(
    network: Ipv6Net,
    regions: &BTreeMap<String, Ipv6Net>,
) -> Result<BTreeMap<String, Ipv6Net>, NoNetwork> {
    let mut good: BTreeMap<String, Ipv6Net> = BTreeMap::new();
    for (name, part) in regions {
        let part = part.trunc();
        let fits = network.contains(&part) && part != network && part.prefix_len() <= MEMBER;
        if !fits {
            return Err(NoNetwork::Outside(part, name.clone(), network));
        }
        let overlaps = |other: &&Ipv6Net| other.contains(&part) || part.contains(*other);
        let mut others = good.iter();
        if let Some((other, _)) = others.find(|(_, other)| overlaps(other)) {
            return Err(NoNetwork::Overlap(other.clone(), name.clone(), part));
        }
        good.insert(name.clone(), part);
    }
    Ok(good)
}

/// Returns the unique local /48 of forty random bits (RFC 4193).
pub(super) fn unique_local(random: [u8; 5]) -> Ipv6Net {
    let mut bytes = [0; 16];
    bytes[0] = 0xfd;
    bytes[1..6].copy_from_slice(&random);
    Ipv6Net::new(Ipv6Addr::from(bytes), 48).expect("48 is at most 128")
}

/// Returns what no member has: the first /64, whose addresses are the links'. So prefixes are numbered from one.
pub(super) fn of_links(network: Ipv6Net) -> Ipv6Net {
    Ipv6Net::new(network.network(), MEMBER).expect("64 is at most 128")
}

/// Returns a member's free prefix in a part of the network, or nothing if that is full.
pub(super) fn free_prefix(within: Ipv6Net, taken: &BTreeSet<Ipv6Net>) -> Option<Ipv6Net> {
    if taken.iter().any(|net| net.contains(&within)) {
        return None;
    }
    let block = smallest_free(within, taken)?;
    Ipv6Net::new(block.network(), MEMBER).ok()
}

/// Returns the address of a member on its WireGuard interface: the first one of the /96 of its own that the ends of its tunnels are in.
pub(super) fn link_address(network: Ipv6Net, number: u32) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(of_links(network).network()) | u128::from(number) << 32 | 1)
}

/// Returns the smallest free block that is at least a member's; of equal ones the first.
fn smallest_free(block: Ipv6Net, taken: &BTreeSet<Ipv6Net>) -> Option<Ipv6Net> {
    let last = Ipv6Net::new(block.broadcast(), 128).ok()?;
    let first = Ipv6Net::new(block.network(), 0).ok()?;
    match taken.range(first..=last).next() {
        None => return Some(block),
        Some(net) if net.contains(&block) => return None,
        Some(_) if block.prefix_len() >= MEMBER => return None,
        Some(_) => {}
    }
    let halves = block.subnets(block.prefix_len() + 1).ok()?;
    let free = halves.filter_map(|half| smallest_free(half, taken));
    free.reduce(|one, other| {
        if other.prefix_len() > one.prefix_len() {
            other
        } else {
            one
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> Ipv6Net {
        text.parse().unwrap()
    }

    fn regions(all: &[(&str, &str)]) -> BTreeMap<String, Ipv6Net> {
        let all = all.iter();
        all.map(|(name, net)| ((*name).to_owned(), network(net)))
            .collect()
    }

    #[test]
    fn members_are_numbered_from_one_and_links_come_first() {
        let net = network("fd12:3456:789a::/48");
        let mut taken = BTreeSet::from([of_links(net)]);
        for expected in ["1", "2", "3", "4"] {
            let prefix = free_prefix(net, &taken).unwrap();
            assert_eq!(prefix, network(&format!("fd12:3456:789a:{expected}::/64")));
            taken.insert(prefix);
        }
        assert_eq!(link_address(net, 2).to_string(), "fd12:3456:789a::2:0:1");
    }

    #[test]
    fn a_network_is_given_until_it_is_full() {
        let net = network("2001:db8:0:10::/60");
        let mut taken = BTreeSet::from([of_links(net)]);
        while let Some(prefix) = free_prefix(net, &taken) {
            assert!(taken.insert(prefix));
        }
        assert_eq!(taken.len(), 16);
        let seventh = network("2001:db8:0:17::/64");
        taken.remove(&seventh);
        assert_eq!(free_prefix(net, &taken), Some(seventh));
    }

    #[test]
    fn a_region_has_a_part_of_its_own() {
        let net = network("fd12:3456:789a::/48");
        let parts = [
            ("eu", "fd12:3456:789a:4000::/50"),
            ("us", "fd12:3456:789a:8000::/49"),
        ];
        let parts = check_regions(net, &regions(&parts)).unwrap();
        let taken = BTreeSet::from([of_links(net)]);
        let first = network("fd12:3456:789a:4000::/64");
        assert_eq!(free_prefix(parts["eu"], &taken), Some(first));
        // Who has no region has what is nobody's.
        let taken: BTreeSet<_> = parts.values().copied().chain(taken).collect();
        let first = network("fd12:3456:789a:1::/64");
        assert_eq!(free_prefix(net, &taken), Some(first));
        assert_eq!(free_prefix(parts["eu"], &taken), None);
    }

    #[test]
    fn a_network_without_room_is_refused() {
        for text in ["fd00::/64", "fd00::/8", "fd00::1/128", "ff02::/48"] {
            assert_eq!(check(network(text)), Err(NoNetwork::Length(network(text))));
        }
        assert_eq!(
            check(network("fd12:3456:789a::1/48")),
            Ok(network("fd12:3456:789a::/48"))
        );
    }

    #[test]
    fn regions_that_are_elsewhere_or_somebody_elses_are_refused() {
        let net = network("fd12:3456:789a::/48");
        let said =
            |all: &[(&str, &str)]| check_regions(net, &regions(all)).unwrap_err().to_string();
        for part in ["fd99::/56", "fd12:3456:789a::/48", "fd12:3456:789a:1::/80"] {
            assert!(said(&[("eu", part)]).contains("is no part of"), "{part}");
        }
        let both = [
            ("eu", "fd12:3456:789a:4000::/50"),
            ("fr", "fd12:3456:789a:4100::/56"),
        ];
        assert_eq!(
            said(&both),
            "the regions `eu` and `fr` cannot both have fd12:3456:789a:4100::/56"
        );
    }

    #[test]
    fn a_random_network_is_unique_local() {
        assert_eq!(
            unique_local([0x12, 0x34, 0x56, 0x78, 0x9a]),
            network("fd12:3456:789a::/48")
        );
    }

    proptest! {
        #[test]
        fn what_is_given_is_free_and_what_is_whole_stays_whole(steps in prop::collection::vec(0_usize..40, 1..120)) {
            let net = network("fd12:3456:789a:80::/57");
            let mut taken = BTreeSet::from([of_links(net)]);
            let mut given: Vec<Ipv6Net> = Vec::new();
            for step in steps {
                if step < 15 && !given.is_empty() {
                    let back = given.remove(step % given.len());
                    prop_assert!(taken.remove(&back));
                    continue;
                }
                let whole = |taken: &BTreeSet<Ipv6Net>| {
                    let halves = net.subnets(60).unwrap();
                    halves.filter(|half| !taken.iter().any(|net| half.contains(net))).count()
                };
                let before = whole(&taken);
                // Somebody fits beside others.
                let broken = 8 - before;
                let others = taken.len() < broken * 16;
                if let Some(prefix) = free_prefix(net, &taken) {
                    prop_assert!(net.contains(&prefix) && prefix.prefix_len() == MEMBER);
                    prop_assert!(taken.insert(prefix));
                    given.push(prefix);
                    prop_assert!(!others || whole(&taken) == before);
                } else {
                    prop_assert_eq!(taken.len(), 128);
                }
            }
        }
    }
}
