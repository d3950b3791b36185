//! How things are, in a state and in words.

use std::time::Duration;

use slapbox_overlay::links::ObservedWireGuard;

use super::*;
use crate::node::policy::tests::{document, peer, tunnels};

/// A node whose peer was last heard so long ago, and that has a route to it or not.
fn observed(handshake_age: Option<u64>, endpoint: Option<&str>, routed: bool) -> Observed {
    let first = ObservedPeer {
        endpoint: endpoint.map(|endpoint| endpoint.parse().unwrap()),
        handshake_age: handshake_age.map(Duration::from_secs),
        ..ObservedPeer::default()
    };
    let mut observed = Observed::default();
    let peers = [(peer(1, None).wireguard_public_key, first)].into();
    observed.wireguard = Some(ObservedWireGuard {
        up: true,
        peers,
        ..ObservedWireGuard::default()
    });
    if routed {
        observed
            .babel
            .insert(peer(1, None).prefix, "slt1".to_owned());
    }
    observed
}

fn check(others: &[u8], tunnels: &Tunnels, observed: &Observed, state: State, reason: &str) {
    let others = others.iter().map(|number| peer(*number, None)).collect();
    let status = status(Some(&document(2, others)), tunnels, observed, None);
    assert_eq!((status.state, status.reason.as_str()), (state, reason));
}

#[test]
fn a_node_is_connected_when_a_neighbour_answers_and_there_are_routes() {
    let (up, none) = (tunnels(&[1]), Tunnels::default());
    let check = |tunnels, observed: &Observed, state, reason: &str| {
        check(&[1, 3], tunnels, observed, state, reason);
    };
    check(&up, &observed(Some(3), None, true), State::Connected, "");
    let words = "COMP-1 answers, but there is no route to anybody yet";
    check(
        &up,
        &observed(Some(3), None, false),
        State::Connecting,
        words,
    );
    let words = "none of 2 computers answers: COMP-1 does not at 192.0.2.1:6326 (UDP)";
    let silent = observed(None, Some("192.0.2.1:6326"), false);
    check(&none, &silent, State::Connecting, words);
    let words = "the address of none of 2 computers is known";
    check(
        &none,
        &observed(None, None, false),
        State::Connecting,
        words,
    );
    let words = "the WireGuard interface is not up yet";
    check(&up, &Observed::default(), State::Connecting, words);
}

#[test]
fn the_only_other_computer_is_named() {
    let silent = observed(None, Some("192.0.2.1:6326"), false);
    let none = Tunnels::default();
    let words = "the other computer does not answer: COMP-1 does not at 192.0.2.1:6326 (UDP)";
    check(&[1], &none, &silent, State::Connecting, words);
    let unknown = observed(None, None, false);
    let words = "the address of COMP-1 is not known";
    check(&[1], &none, &unknown, State::Connecting, words);
}

#[test]
fn where_the_registry_is_a_node_may_be_alone() {
    let none = Tunnels::default();
    let of = |number| {
        let document = document(number, Vec::new());
        status(Some(&document), &none, &observed(None, None, false), None)
    };
    let first = of(1);
    assert_eq!(first.state, State::Connected);
    assert_eq!(first.address.unwrap().to_string(), "fd12:3456:789a:1::1");
    let second = of(2);
    assert_eq!(
        (second.state, second.reason.as_str()),
        (State::Connecting, "nobody else has joined the network yet")
    );
    let full = status(
        None,
        &none,
        &Observed::default(),
        Some("the network is full"),
    );
    assert_eq!(
        (full.state, full.reason.as_str()),
        (State::Connecting, "the network is full")
    );
}

#[test]
fn a_problem_of_a_connected_node_is_told_and_changes_nothing_else() {
    let document = document(2, vec![peer(1, None)]);
    let observed = observed(Some(3), None, true);
    let problem = Some("no news of the network");
    let status = status(Some(&document), &tunnels(&[1]), &observed, problem);
    assert_eq!(
        (status.state, status.reason.as_str()),
        (State::Connected, "no news of the network")
    );
}

#[test]
fn the_file_has_the_form_that_others_read() {
    let document = document(2, vec![peer(1, None), peer(3, None)]);
    let observed = observed(Some(3), Some("192.0.2.1:6326"), true);
    let status = status(Some(&document), &tunnels(&[1]), &observed, None);
    let expected = serde_json::json!({
        "network": "fd12:3456:789a::/48",
        "prefix": "fd12:3456:789a:2::/64",
        "address": "fd12:3456:789a:2::1",
        "links": [{"peer": "COMP-1", "state": "up", "carrier": "udp", "round_trip_ms": 1.2, "last_handshake_seconds": 3}],
        "state": "connected",
        "reason": "",
    });
    assert_eq!(serde_json::to_value(&status).unwrap(), expected);
    let mut older = status.clone();
    older.links[0].last_handshake_seconds = Some(8);
    older.links[0].round_trip_ms = Some(7.0);
    assert!(!older.differs_from(&status), "times alone are no news");
}

#[test]
fn what_travels_by_the_loopback_travels_in_tls() {
    let document = document(2, vec![peer(1, None)]);
    let by_near_end = observed(Some(3), Some("127.0.0.1:40000"), true);
    let up = status(Some(&document), &tunnels(&[1]), &by_near_end, None);
    assert_eq!(up.links[0].carrier, Some(Carrier::Tls));
    let silent = observed(None, Some("127.0.0.1:40000"), false);
    let none = Tunnels::default();
    let words = "the other computer does not answer: COMP-1 does not by way of its registry (TLS)";
    check(&[1], &none, &silent, State::Connecting, words);
    let unknown = observed(Some(3), None, true);
    let up = status(Some(&document), &tunnels(&[1]), &unknown, None);
    assert_eq!(up.links[0].carrier, None);
}
