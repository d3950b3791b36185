//! What a document means for links.

use std::time::Duration;

use slapbox_overlay::keys::PublicKey;

use super::*;
use crate::node::Facts;
use crate::wire::{JoinReply, View};

pub(crate) fn peer(number: u8, endpoint: Option<&str>) -> Peer {
    Peer {
        reference: format!("COMP-{number}").parse().unwrap(),
        wireguard_public_key: PublicKey([number; 32]),
        endpoint: endpoint.map(str::to_owned),
        port: 6326,
        addresses: Vec::new(),
        link_address: format!("fd12:3456:789a::{number:x}:0:1").parse().unwrap(),
        prefix: format!("fd12:3456:789a:{number:x}::/64").parse().unwrap(),
    }
}

/// The document of a member that sees these peers; the registry is on COMP-1.
pub(crate) fn document(number: u8, peers: Vec<Peer>) -> Document {
    let own = peer(number, None);
    Document {
        facts: Facts {
            reference: own.reference,
            wireguard_public_key: own.wireguard_public_key,
            port: own.port,
            endpoint: None,
            addresses: Vec::new(),
        },
        url: "https://[2001:db8::5]:8443".to_owned(),
        joined: JoinReply {
            certificate: String::new(),
            ca: String::new(),
            network: "fd12:3456:789a::/48".parse().unwrap(),
            prefix: own.prefix,
            link_address: own.link_address,
            view: View {
                version: 1,
                host: Some("COMP-1".parse().unwrap()),
                peers,
                ..View::default()
            },
        },
    }
}

fn key() -> PrivateKey {
    PrivateKey::new([5; 32])
}

/// A tunnel to each of these, which hear us.
pub(crate) fn tunnels(peers: &[u32]) -> Tunnels {
    let tunnel = Tunnel {
        is_up: true,
        way: Way::Main,
        round_trip: Some(Duration::from_micros(1_234)),
        lost: 20_000,
        age: Duration::from_secs(5),
    };
    peers.iter().map(|peer| (Member(*peer), tunnel)).collect()
}

#[test]
fn all_are_peers_and_neighbours_have_tunnels() {
    let document = document(0x1a, vec![peer(1, None), peer(3, None)]);
    let endpoint = "[2001:db8::5]:6326".parse().unwrap();
    let endpoints = [("COMP-1".parse().unwrap(), endpoint)].into();
    let desired = desired(&document, &key(), &endpoints, &tunnels(&[1]));

    assert_eq!(desired.wireguard.port, 6326);
    assert_eq!(desired.wireguard.peers.len(), 2);
    let first = &desired.wireguard.peers[&PublicKey([1; 32])];
    assert_eq!(
        (first.allowed.to_string().as_str(), first.endpoint),
        ("fd12:3456:789a::1:0:0/96", Some(endpoint))
    );
    assert_eq!(
        desired.wireguard.peers[&PublicKey([3; 32])].endpoint,
        None,
        "it may call us"
    );
    assert_eq!(desired.tunnels.keys().collect::<Vec<_>>(), ["slt1"]);
    let addresses: Vec<_> = desired
        .addresses
        .iter()
        .map(|(link, address)| format!("{link} {address}"))
        .collect();
    assert_eq!(
        addresses,
        [
            "lo fd12:3456:789a:1a::1/128",
            "slapwg0 fd12:3456:789a::1a:0:1/128",
            "slapwg0 fd12:3456:789a::1a:0:2/128",
            "slt1 fe80::1a/64"
        ]
    );
    let routes: Vec<_> = desired.routes.iter().map(ToString::to_string).collect();
    assert_eq!(
        routes,
        [
            "route to fd12:3456:789a::/64 through slapwg0",
            "unreachable route to fd12:3456:789a::/48",
            "unreachable route to fd12:3456:789a:1a::/64",
        ]
    );
    let babel = babel(&document, &tunnels(&[1]), "/run/babeld.sock".to_owned());
    assert_eq!(babel.interfaces, desired.tunnels.into_keys().collect());
    assert_eq!(babel.link_network.to_string(), "fd12:3456:789a::/64");
}

#[test]
fn a_tunnel_that_shall_be_left_has_a_spare_beside_it_and_then_in_its_place() {
    let document = document(2, vec![peer(1, None), peer(3, None)]);
    let mut tunnels = tunnels(&[1, 3]);
    let mut made = |way| {
        tunnels.get_mut(&Member(3)).unwrap().way = way;
        let desired = desired(&document, &key(), &BTreeMap::new(), &tunnels);
        let babel = babel(&document, &tunnels, "/run/babeld.sock".to_owned());
        let spare = desired.tunnels.get("sls3").cloned();
        let names: Vec<_> = desired.tunnels.into_keys().collect();
        (
            names,
            babel.interfaces.into_iter().collect::<Vec<_>>(),
            spare,
        )
    };
    let (names, spoken_on, _) = made(Way::Main);
    assert_eq!(
        (names, spoken_on.join(" ")),
        (
            vec!["slt1".to_owned(), "slt3".to_owned()],
            "slt1 slt3".to_owned()
        )
    );
    let (names, spoken_on, spare) = made(Way::Both);
    assert_eq!(
        (names.join(" "), spoken_on.join(" ")),
        ("sls3 slt1 slt3".to_owned(), "sls3 slt1 slt3".to_owned())
    );
    let spare = spare.unwrap();
    assert_eq!(
        (spare.local.to_string(), spare.remote.to_string()),
        (
            "fd12:3456:789a::2:0:2".to_owned(),
            "fd12:3456:789a::3:0:2".to_owned()
        )
    );
    let (names, spoken_on, _) = made(Way::Spare);
    assert_eq!(
        (names.join(" "), spoken_on.join(" ")),
        ("sls3 slt1 slt3".to_owned(), "sls3 slt1".to_owned())
    );
}

#[test]
fn peers_are_looked_for_where_they_say_and_where_their_machines_are() {
    let names = |endpoint, addresses: &[&str]| {
        let mut first = peer(1, endpoint);
        first.addresses = addresses.iter().map(|it| it.parse().unwrap()).collect();
        let mut names = endpoint_names(&document(2, vec![first, peer(3, None)]));
        assert!(names[&"COMP-3".parse().unwrap()].is_empty());
        names.remove(&"COMP-1".parse().unwrap()).unwrap()
    };
    assert_eq!(names(Some("hub.example:1"), &[]), ["hub.example:1"]);
    assert_eq!(
        names(None, &["192.0.2.7:6326", "[2001:db8::5]:6326"]),
        ["[2001:db8::5]:6326", "192.0.2.7:6326"],
        "the registry's computer is beside its master, and what is twice is tried once"
    );
}

#[test]
fn only_addresses_that_others_may_reach_are_told() {
    let all = [
        ("lo", "fd12:3456:789a:1::1"),
        ("slapwg0", "fd12:3456:789a::1"),
        ("slt3", "fe80::1"),
        ("eth0", "fe80::5054:ff:fe12:3456"),
        ("eth0", "2001:db8::7"),
        ("eth0", "192.0.2.7"),
        ("eth1", "169.254.3.4"),
        ("docker0", "192.0.2.7"),
    ];
    let all = all.map(|(name, ip)| (name.to_owned(), ip.parse().unwrap()));
    let told = |seen: &[&str]| {
        let seen: Vec<_> = seen.iter().map(|it| it.parse().unwrap()).collect();
        let told = reachable(&seen, all.clone(), 6326);
        let told: Vec<_> = told.iter().map(ToString::to_string).collect();
        told.join(" ")
    };
    assert_eq!(told(&[]), "192.0.2.7:6326 [2001:db8::7]:6326");
    assert_eq!(
        told(&["198.51.100.9:41000", "[2001:db8::7]:6326"]),
        "198.51.100.9:41000 [2001:db8::7]:6326 192.0.2.7:6326",
        "what others see comes first, and once"
    );
}

#[test]
fn behind_one_nat_a_peer_is_looked_for_inside() {
    let mut second = peer(3, None);
    second.addresses = ["198.51.100.9:41000", "192.168.1.3:6326"]
        .map(|it| it.parse().unwrap())
        .to_vec();
    let mut document = document(2, vec![second]);
    let mut names = |own: &str| {
        document.facts.addresses = vec![own.parse().unwrap()];
        endpoint_names(&document)
            .into_values()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        names("203.0.113.5:6326"),
        "198.51.100.9:41000 192.168.1.3:6326"
    );
    assert_eq!(
        names("198.51.100.9:6326"),
        "192.168.1.3:6326 198.51.100.9:41000"
    );
}

#[test]
fn who_can_be_called_from_anywhere_says_where_or_is_beside_the_registry() {
    let peers = vec![
        peer(1, None),
        peer(3, Some("192.0.2.1:6326")),
        peer(4, None),
    ];
    let document = document(2, peers);
    assert_eq!(public(&document), [Member(1), Member(3)]);
    assert_eq!(members(&document), [1, 2, 3, 4].map(Member));
}

#[test]
fn who_announces_what_is_anothers_is_a_liar() {
    let document = document(2, vec![peer(1, None), peer(3, None)]);
    let origin = |prefix: &str, interface: &str| Origin {
        prefix: prefix.parse().unwrap(),
        interface: interface.to_owned(),
    };
    let honest = [
        origin("fd12:3456:789a:1::/64", "slt1"),
        origin("fd12:3456:789a:3::/64", "sls3"),
        // Of somebody of whom nobody has heard yet.
        origin("fd12:3456:789a:9::/64", "slt3"),
    ];
    assert_eq!(liars(&document, &honest), []);
    let lies = [
        origin("fd12:3456:789a:1::/64", "slt3"),
        origin("fd12:3456:789a:2::/64", "sls1"),
    ];
    let told: Vec<_> = liars(&document, &lies)
        .into_iter()
        .map(|(liar, member, owner)| format!("{liar} {} {owner}", member.0))
        .collect();
    assert_eq!(told, ["COMP-3 3 COMP-1", "COMP-1 1 COMP-2"]);
}
