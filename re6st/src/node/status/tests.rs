//! How things are, in a state and in words.

use std::time::Duration;

use slapbox_overlay::links::ObservedWireGuard;

use super::*;
use crate::node::policy::tests::{document, peer};

/// A node whose hub was last heard so long ago, and that has a route to it or not.
fn observed(handshake_age: Option<u64>, endpoint: Option<&str>, routed: bool) -> Observed {
    let hub = ObservedPeer {
        endpoint: endpoint.map(|endpoint| endpoint.parse().unwrap()),
        handshake_age: handshake_age.map(Duration::from_secs),
        ..ObservedPeer::default()
    };
    let mut observed = Observed::default();
    let peers = [(peer(1, None).wireguard_public_key, hub)].into();
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

fn check(observed: &Observed, state: State, reason: &str) {
    let status = status(Some(&document(2, vec![peer(1, None)])), observed, None);
    assert_eq!((status.state, status.reason.as_str()), (state, reason));
}

#[test]
fn a_node_is_connected_when_the_hub_answers_and_is_routed() {
    check(&observed(Some(3), None, true), State::Connected, "");
    let words = "the hub COMP-1 answers, but there is no route to fd12:3456:789a:1::/64 yet";
    check(&observed(Some(3), None, false), State::Connecting, words);
    let words = "the hub COMP-1 has been silent for more than three minutes";
    check(&observed(Some(180), None, true), State::Connecting, words);
    let words = "the hub COMP-1 does not answer at 192.0.2.1:6326 (UDP)";
    check(
        &observed(None, Some("192.0.2.1:6326"), false),
        State::Connecting,
        words,
    );
    check(
        &observed(None, None, false),
        State::Connecting,
        "the address of the hub COMP-1 is not known",
    );
    check(
        &Observed::default(),
        State::Connecting,
        "the WireGuard interface is not up yet",
    );
}

#[test]
fn the_hub_is_connected_by_itself() {
    let status = status(
        Some(&document(1, Vec::new())),
        &observed(None, None, false),
        None,
    );
    assert_eq!(status.state, State::Connected);
    assert_eq!(status.address.unwrap().to_string(), "fd12:3456:789a:1::1");
}

#[test]
fn before_and_without_a_hub_the_reason_says_so() {
    let mut document = document(2, Vec::new());
    let words =
        |document: &Document| status(Some(document), &observed(None, None, false), None).reason;
    assert_eq!(
        words(&document),
        "the hub COMP-1 has not joined the network yet"
    );
    document.joined.view.hub = None;
    assert_eq!(words(&document), "the network has no hub yet");
    let status = status(None, &Observed::default(), Some("the network is full"));
    assert_eq!(
        (status.state, status.reason.as_str()),
        (State::Connecting, "the network is full")
    );
}

#[test]
fn a_problem_of_a_connected_node_is_told_and_changes_nothing_else() {
    let document = document(2, vec![peer(1, None)]);
    let status = status(
        Some(&document),
        &observed(Some(3), None, true),
        Some("no news of the network"),
    );
    assert_eq!(
        (status.state, status.reason.as_str()),
        (State::Connected, "no news of the network")
    );
}

#[test]
fn the_file_has_the_form_that_others_read() {
    let status = status(
        Some(&document(2, vec![peer(1, None)])),
        &observed(Some(3), None, true),
        None,
    );
    let expected = serde_json::json!({
        "network": "fd12:3456:789a::/48",
        "prefix": "fd12:3456:789a:2::/64",
        "address": "fd12:3456:789a:2::1",
        "links": [{"peer": "COMP-1", "state": "up", "last_handshake_seconds": 3}],
        "state": "connected",
        "reason": "",
    });
    assert_eq!(serde_json::to_value(&status).unwrap(), expected);
    let mut older = status.clone();
    older.links[0].last_handshake_seconds = Some(8);
    assert!(!older.differs_from(&status), "age alone is no news");
}
