//! Who listens where, as the kernel lists it: `/proc/net/tcp` and `/proc/net/tcp6`. Pure.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Listening, as the kernel writes it. Source: its `tcp_states.h`.
const LISTENS: &str = "0A";

/// Returns the ends that are listened on, of one of the kernel's lists.
pub fn listened(table: &str) -> BTreeSet<SocketAddr> {
    let lines = table.lines().skip(1);
    let all = lines.filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().take(4).collect();
        let [_, local, _, state] = words[..] else {
            return None;
        };
        let (address, port) = local.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        (state == LISTENS).then_some(SocketAddr::new(address_of(address)?, port))
    });
    all.collect()
}

/// Reads an address: numbers of 32 bits in the order of this machine.
fn address_of(text: &str) -> Option<IpAddr> {
    let number = |part: &str| u32::from_str_radix(part, 16).map(u32::to_ne_bytes).ok();
    match text.len() {
        8 => Some(Ipv4Addr::from(number(text)?).into()),
        32 => {
            let mut octets = [0; 16];
            for (place, part) in octets.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&number(text.get(place * 8..place * 8 + 8)?)?);
            }
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn what_listens_is_read_and_what_is_connected_is_not() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n\
                        0: 00000000:0050 00000000:0000 0A 00000000:00000000\n\
                        1: 00000000:1F90 0100007F:C350 01 00000000:00000000\n\
                        2: malformed\n";
        let expected = "0.0.0.0:80".parse().unwrap();
        assert_eq!(listened(table), BTreeSet::from([expected]));
        assert_eq!(listened(""), BTreeSet::new());
    }

    #[test]
    fn this_process_is_seen_as_it_listens() {
        for (address, table) in [
            ("127.0.0.1:0", "/proc/self/net/tcp"),
            ("[::1]:0", "/proc/self/net/tcp6"),
        ] {
            let listener = TcpListener::bind(address).unwrap();
            let table = std::fs::read_to_string(table).unwrap();
            assert!(listened(&table).contains(&listener.local_addr().unwrap()));
        }
    }
}
