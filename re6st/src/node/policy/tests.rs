//! What a document means for links.

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
        link_address: format!("fd12:3456:789a:ffff::{number:x}").parse().unwrap(),
        prefix: format!("fd12:3456:789a:{number:x}::/64").parse().unwrap(),
    }
}

/// The document of a member that sees these peers; the hub is COMP-1.
pub(crate) fn document(number: u8, peers: Vec<Peer>) -> Document {
    let own = peer(number, None);
    Document {
        facts: Facts {
            reference: own.reference,
            wireguard_public_key: own.wireguard_public_key,
            port: own.port,
            endpoint: None,
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
                hub: Some("COMP-1".parse().unwrap()),
                peers,
            },
        },
    }
}

fn key() -> PrivateKey {
    PrivateKey::new([5; 32])
}

#[test]
fn a_node_has_one_link_to_the_hub() {
    let document = document(0x1a, vec![peer(1, None), peer(3, None)]);
    let endpoint = "[2001:db8::5]:6326".parse().unwrap();
    let desired = desired(
        &document,
        &key(),
        &[("COMP-1".parse().unwrap(), endpoint)].into(),
    );

    assert_eq!(desired.wireguard.port, 6326);
    assert_eq!(desired.wireguard.peers.len(), 1);
    let hub = &desired.wireguard.peers[&PublicKey([1; 32])];
    assert_eq!(
        (
            hub.allowed.to_string().as_str(),
            hub.endpoint,
            hub.keepalive
        ),
        ("fd12:3456:789a:ffff::1", Some(endpoint), 25)
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
            "slapwg0 fd12:3456:789a:ffff::1a/128",
            "slt1 fe80::1a/64"
        ]
    );
    let routes: Vec<_> = desired.routes.iter().map(ToString::to_string).collect();
    assert_eq!(
        routes,
        [
            "route to fd12:3456:789a:ffff::/64 through slapwg0",
            "unreachable route to fd12:3456:789a::/48",
            "unreachable route to fd12:3456:789a:1a::/64",
        ]
    );
}

#[test]
fn the_hub_has_a_link_to_everybody_and_waits_for_their_call() {
    let document = document(1, vec![peer(2, None), peer(0xab, None)]);
    let desired = desired(&document, &key(), &BTreeMap::new());
    assert_eq!(
        desired.tunnels.keys().collect::<Vec<_>>(),
        ["slt2", "sltab"]
    );
    assert!(
        desired
            .wireguard
            .peers
            .values()
            .all(|peer| peer.endpoint.is_none() && peer.keepalive == 0)
    );
    let babel = babel(&document, "/run/babeld.sock".to_owned());
    assert_eq!(babel.interfaces, desired.tunnels.into_keys().collect());
    assert_eq!(babel.link_network.to_string(), "fd12:3456:789a:ffff::/64");
}

#[test]
fn the_hub_is_where_it_says_or_else_beside_its_master() {
    let names = |endpoint| {
        let document = document(2, vec![peer(1, endpoint)]);
        endpoint_names(&document).into_values().collect::<Vec<_>>()
    };
    assert_eq!(names(Some("hub.example:1")), ["hub.example:1"]);
    assert_eq!(names(None), ["[2001:db8::5]:6326"]);
}

#[test]
fn an_index_may_be_larger_than_sixteen_bits() {
    assert_eq!(index_of("fd12::f:fffe".parse().unwrap()), 0xf_fffe);
}
