//! How things are, in a state and in words.

use std::time::Duration;

use slapbox_overlay::links::ObservedWireGuard;

use super::*;
use crate::mesh::Why;
use crate::node::policy::tests::{document, peer, tunnels};

/// What a node is like that has tunnels to these.
fn near(peers: &[u32]) -> Nearby {
    Nearby {
        tunnels: tunnels(peers),
        ..Nearby::default()
    }
}

/// A node whose peer was last heard so long ago, and that has a route to it or not.
fn observed(handshake_age: Option<u64>, endpoint: Option<&str>, routed: bool) -> Observed {
    let first = ObservedPeer {
        endpoint: endpoint.map(|endpoint| endpoint.parse().unwrap()),
        traffic: (4096, 2048),
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

fn check(others: &[u8], near: &Nearby, observed: &Observed, state: State, reason: &str) {
    let others = others.iter().map(|number| peer(*number, None)).collect();
    let status = status(Some(&document(2, others)), near, observed, None);
    assert_eq!((status.state, status.reason.as_str()), (state, reason));
}

#[test]
fn a_node_is_connected_when_a_neighbour_answers_and_there_are_routes() {
    let (up, none) = (near(&[1]), near(&[]));
    let check = |near, observed: &Observed, state, reason: &str| {
        check(&[1, 3], near, observed, state, reason);
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
    let none = near(&[]);
    let words = "the other computer does not answer: COMP-1 does not at 192.0.2.1:6326 (UDP)";
    check(&[1], &none, &silent, State::Connecting, words);
    let unknown = observed(None, None, false);
    let words = "the address of COMP-1 is not known";
    check(&[1], &none, &unknown, State::Connecting, words);
}

#[test]
fn where_the_registry_is_a_node_may_be_alone() {
    let none = near(&[]);
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
    let status = status(Some(&document), &near(&[1]), &observed, problem);
    assert_eq!(
        (status.state, status.reason.as_str()),
        (State::Connected, "no news of the network")
    );
}

#[test]
fn the_file_has_the_form_that_others_read() {
    let document = document(2, vec![peer(1, None), peer(3, None), peer(4, None)]);
    let observed = observed(Some(3), Some("192.0.2.1:6326"), true);
    let near = Nearby {
        asked: [(Member(3), Duration::from_millis(1_500))].into(),
        resting: [(Member(4), (Duration::from_secs(40), Why::Full))].into(),
        made: 7,
        lost: 2,
        ..near(&[1])
    };
    let status = status(Some(&document), &near, &observed, None);
    let expected = serde_json::json!({
        "computer": "COMP-2",
        "name": "comp-2.slapbox.internal",
        "network": "fd12:3456:789a::/48",
        "prefix": "fd12:3456:789a:2::/64",
        "address": "fd12:3456:789a:2::1",
        "others": 3,
        "destinations": 1,
        "links": [{
            "peer": "COMP-1", "state": "up", "reason": "", "carrier": "udp", "way": "main", "age_seconds": 5, "round_trip_ms": 1.2,
            "loss": 0.02, "mtu": 1380, "destinations": 1, "endpoint": "192.0.2.1:6326",
            "received_bytes": 4096, "sent_bytes": 2048, "last_handshake_seconds": 3,
        }],
        "asked": [{"peer": "COMP-3", "seconds": 1, "reason": "its address is not known"}],
        "resting": [{"peer": "COMP-4", "seconds": 40, "reason": "it has no room for another tunnel"}],
        "tunnels_made": 7,
        "tunnels_lost": 2,
        "state": "connected",
        "reason": "",
    });
    assert_eq!(serde_json::to_value(&status).unwrap(), expected);
}

#[test]
fn times_and_counts_alone_are_no_news() {
    let document = document(2, vec![peer(1, None), peer(3, None)]);
    let before = status(
        Some(&document),
        &near(&[1]),
        &observed(Some(3), None, true),
        None,
    );
    let mut later = before.clone();
    let link = &mut later.links[0];
    (link.age_seconds, link.last_handshake_seconds) = (90, Some(8));
    (link.round_trip_ms, link.loss) = (Some(7.0), 0.5);
    (link.received_bytes, link.sent_bytes, link.destinations) = (9, 9, 9);
    (later.destinations, later.tunnels_made, later.tunnels_lost) = (9, 9, 9);
    assert!(!later.differs_from(&before) && !later.asks_others_than(&before));

    later.asked.push(NoLink {
        peer: "COMP-3".parse().unwrap(),
        seconds: 0,
        reason: String::new(),
    });
    assert!(!later.differs_from(&before), "a question is not yet news");
    assert!(later.asks_others_than(&before), "and is told at once");
    later.links[0].way = LinkWay::Both;
    assert!(later.differs_from(&before));
}

#[test]
fn each_missing_tunnel_has_its_reason() {
    let others = [1, 3, 4, 5, 6, 7].map(|number| peer(number, None)).to_vec();
    let rests = [(3, Why::Full), (4, Why::Silent), (5, Why::Lost)];
    let rests = rests
        .into_iter()
        .chain([(6, Why::Closed), (7, Why::Replaced)]);
    let rest = |(number, why)| (Member(number), (Duration::from_secs(9), why));
    let mut near = Nearby {
        asked: [(Member(1), Duration::from_secs(1))].into(),
        resting: rests.map(rest).collect(),
        ..near(&[])
    };
    let document = document(2, others);
    let reasons = |near: &Nearby, observed: &Observed| -> Vec<String> {
        let status = status(Some(&document), near, observed, None);
        let all = status.asked.into_iter().chain(status.resting);
        all.map(|it| format!("{}: {}", it.peer, it.reason))
            .collect()
    };
    let silent = observed(None, Some("192.0.2.1:6326"), false);
    assert_eq!(
        reasons(&near, &silent),
        [
            "COMP-1: nothing of it comes from 192.0.2.1:6326 (UDP)",
            "COMP-3: it has no room for another tunnel",
            "COMP-4: its address is not known",
            "COMP-5: there was a tunnel, and nothing came through it any more",
            "COMP-6: there was a tunnel, and it has closed it",
            "COMP-7: there was a tunnel, which made room for another",
        ]
    );
    let heard = observed(Some(3), Some("192.0.2.1:6326"), false);
    assert_eq!(
        reasons(&near, &heard)[0],
        "COMP-1: it is there, and has not answered yet"
    );

    near.tunnels = tunnels(&[1]);
    near.tunnels.values_mut().for_each(|it| it.is_up = false);
    let down = |observed| {
        status(Some(&document), &near, observed, None).links[0]
            .reason
            .clone()
    };
    let agreed = "it has agreed to the tunnel, and nothing has come through it yet";
    assert_eq!(down(&heard), agreed);
    assert_eq!(
        down(&silent),
        format!("{agreed}: nothing of it comes from 192.0.2.1:6326 (UDP)")
    );
}

#[test]
fn what_travels_by_the_loopback_travels_in_tls() {
    let document = document(2, vec![peer(1, None)]);
    let by_near_end = observed(Some(3), Some("127.0.0.1:40000"), true);
    let up = status(Some(&document), &near(&[1]), &by_near_end, None);
    assert_eq!(up.links[0].carrier, Some(Carrier::Tls));
    let silent = observed(None, Some("127.0.0.1:40000"), false);
    let none = near(&[]);
    let words = "the other computer does not answer: COMP-1 does not by way of its registry (TLS)";
    check(&[1], &none, &silent, State::Connecting, words);
    let unknown = observed(Some(3), None, true);
    let up = status(Some(&document), &near(&[1]), &unknown, None);
    assert_eq!(up.links[0].carrier, None);
}
