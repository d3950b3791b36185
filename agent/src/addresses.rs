//! The addresses by which the network knows this box: for the screen only.

use std::net::IpAddr;
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use tokio::time::sleep;

use crate::status::Board;

const EVERY: Duration = Duration::from_secs(5);

/// Keeps the addresses on the board current.
pub async fn follow(board: &Board) {
    loop {
        match getifaddrs() {
            Ok(all) => {
                let named = all.filter_map(|one| {
                    let address = one.address?;
                    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
                    let v6 = address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()));
                    Some((one.interface_name, v4.or(v6)?))
                });
                let addresses = shown(named);
                board.update(|status| status.addresses = addresses);
            }
            Err(error) => tracing::debug!("the addresses cannot be read: {error}"),
        }
        sleep(EVERY).await;
    }
}

/// Those by which somebody can call: neither our own interfaces nor what counts on one cable only.
fn shown(all: impl Iterator<Item = (String, IpAddr)>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = all
        .filter(|(interface, _)| {
            interface != "lo" && !interface.starts_with("sla") && !interface.starts_with("slt")
        })
        .map(|(_, address)| address)
        .filter(|address| match address {
            IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
            IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
        })
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_others_can_call_are_shown() {
        let all = [
            ("lo", "127.0.0.1"),
            ("lo", "fd00::2"),
            ("ens3", "fe80::1"),
            ("ens3", "fec0::5054"),
            ("ens3", "10.0.2.15"),
            ("slapwg0", "fd12::1"),
            ("slaptap3", "fd12::3"),
            ("slt2", "fe80::9"),
        ];
        let all = all.map(|(name, address)| (name.to_owned(), address.parse().unwrap()));
        let expected: Vec<IpAddr> = ["10.0.2.15", "fec0::5054"]
            .map(|address| address.parse().unwrap())
            .to_vec();
        assert_eq!(shown(all.into_iter()), expected);
    }
}
