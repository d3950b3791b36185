//! How the network's space is shared: one /64 a member, numbered from 1, and the last one for the links themselves.
//!
//! Pure: chance comes from the caller.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

/// The prefix length of every member.
const MEMBER: u8 = 64;

/// A network that cannot be shared like this.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} cannot be shared: a network is an IPv6 prefix of /48 to /60")]
pub struct NoNetwork(Ipv6Net);

/// Returns the network if members fit in.
pub(super) fn check(network: Ipv6Net) -> Result<Ipv6Net, NoNetwork> {
    if (48..=60).contains(&network.prefix_len()) && !network.addr().is_multicast() {
        Ok(network.trunc())
    } else {
        Err(NoNetwork(network))
    }
}

/// Returns the unique local /48 of forty random bits (RFC 4193).
pub(super) fn unique_local(random: [u8; 5]) -> Ipv6Net {
    let mut bytes = [0; 16];
    bytes[0] = 0xfd;
    bytes[1..6].copy_from_slice(&random);
    Ipv6Net::new(Ipv6Addr::from(bytes), 48).expect("48 is at most 128")
}

/// Returns the smallest index from 1 that is free, or nothing if the network is full.
pub(super) fn smallest_free(network: Ipv6Net, taken: &BTreeSet<u32>) -> Option<u32> {
    (1..last(network)).find(|index| !taken.contains(index))
}

/// Returns the prefix of a member.
pub(super) fn prefix(network: Ipv6Net, index: u32) -> Ipv6Net {
    let bits = u128::from(network.network()) | (u128::from(index) << (128 - MEMBER));
    Ipv6Net::new(Ipv6Addr::from(bits), MEMBER).expect("64 is at most 128")
}

/// Returns the address of a member on its WireGuard interface.
pub(super) fn link_address(network: Ipv6Net, index: u32) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(prefix(network, last(network)).network()) | u128::from(index))
}

/// Returns the index of the last /64, whose addresses are those of the links.
fn last(network: Ipv6Net) -> u32 {
    (1 << (MEMBER - network.prefix_len())) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Ipv6Net {
        text.parse().unwrap()
    }

    #[test]
    fn members_are_numbered_from_one_and_links_come_last() {
        let net = network("fd12:3456:789a::/48");
        assert_eq!(prefix(net, 1), network("fd12:3456:789a:1::/64"));
        assert_eq!(prefix(net, 0xfffe), network("fd12:3456:789a:fffe::/64"));
        assert_eq!(link_address(net, 2).to_string(), "fd12:3456:789a:ffff::2");
    }

    #[test]
    fn the_smallest_free_index_is_given_until_the_network_is_full() {
        let net = network("2001:db8:0:10::/60");
        let mut taken = BTreeSet::new();
        for expected in 1..15 {
            assert_eq!(smallest_free(net, &taken), Some(expected));
            taken.insert(expected);
        }
        assert_eq!(smallest_free(net, &taken), None);
        taken.remove(&7);
        assert_eq!(smallest_free(net, &taken), Some(7));
    }

    #[test]
    fn a_network_without_room_is_refused() {
        for text in ["fd00::/64", "fd00::/8", "fd00::1/128", "ff02::/48"] {
            assert_eq!(check(network(text)), Err(NoNetwork(network(text))));
        }
        assert_eq!(
            check(network("fd12:3456:789a::1/48")),
            Ok(network("fd12:3456:789a::/48"))
        );
    }

    #[test]
    fn a_random_network_is_unique_local() {
        assert_eq!(
            unique_local([0x12, 0x34, 0x56, 0x78, 0x9a]),
            network("fd12:3456:789a::/48")
        );
    }
}
