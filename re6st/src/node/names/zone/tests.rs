//! What is called how, and what is not there.

use super::*;
use crate::node::policy::tests::{document, peer};

fn zone() -> Zone {
    Zone::new(&document(2, vec![peer(1, None), peer(3, None)])).unwrap()
}

fn find(name: &str) -> Found {
    zone().find(&Name::from_ascii(name).unwrap())
}

/// Returns the records of a name as text; nothing if there is no such name.
fn records(name: &str) -> Option<Vec<String>> {
    match find(name) {
        Found::Records(_, records) => Some(records.iter().map(ToString::to_string).collect()),
        Found::Nothing(_) => None,
        Found::Elsewhere => panic!("{name} is elsewhere"),
    }
}

#[test]
fn nodes_and_partitions_have_names_however_they_are_written() {
    let one = |name: &str| records(name).unwrap().join(" ");
    assert_eq!(one("comp-1.slapbox.internal."), "fd12:3456:789a:1::1");
    assert_eq!(one("COMP-3.Slapbox.Internal."), "fd12:3456:789a:3::1");
    assert_eq!(one("comp-2.slapbox.internal."), "fd12:3456:789a:2::1");
    assert_eq!(
        one("slappart7.comp-2.slapbox.internal."),
        "fd12:3456:789a:2::9"
    );
    assert_eq!(
        one("SlapPart16382.comp-1.slapbox.internal."),
        "fd12:3456:789a:1::4000"
    );
}

#[test]
fn addresses_have_the_names_that_lead_to_them() {
    for name in [
        "comp-1.slapbox.internal.",
        "slappart0.comp-2.slapbox.internal.",
        "slappart7.comp-2.slapbox.internal.",
        "slappart16382.comp-3.slapbox.internal.",
    ] {
        let address: Ipv6Addr = records(name).unwrap()[0].parse().unwrap();
        let back = Name::from(address).to_ascii();
        assert_eq!(records(&back).unwrap(), [name], "{back}");
    }
}

#[test]
fn what_is_not_there_is_told_from_what_has_nothing() {
    for name in [
        "comp-9.slapbox.internal.",
        "slappart.comp-1.slapbox.internal.",
        "slappart07.comp-1.slapbox.internal.",
        "slappart16383.comp-1.slapbox.internal.",
        "slappart70000.comp-1.slapbox.internal.",
        "slappart1.comp-9.slapbox.internal.",
        "a.slappart1.comp-1.slapbox.internal.",
    ] {
        assert_eq!(records(name), None, "{name}");
    }
    for label in [&b"slappart+7"[..], b"slappart\xff", b"slappart\0"] {
        let node = Name::from_ascii("comp-1.slapbox.internal.").unwrap();
        let name = node.prepend_label(label).unwrap();
        assert!(matches!(zone().find(&name), Found::Nothing(_)), "{name}");
    }
    let address = |text: &str| Name::from(text.parse::<Ipv6Addr>().unwrap());
    for there_is_nobody in [
        "fd12:3456:789a:1::",
        "fd12:3456:789a:1::4001",
        "fd12:3456:789a:1:ffff:ffff:ffff:ffff",
        "fd12:3456:789a::1",
        "fd12:3456:789a:9::1",
    ] {
        let name = address(there_is_nobody).to_ascii();
        assert_eq!(records(&name), None, "{there_is_nobody}");
    }
    // Between the network and its addresses are names that have nothing, or lead nowhere.
    let node = address("fd12:3456:789a:2::1");
    for labels in 15..34 {
        let name = node.trim_to(labels).to_ascii();
        assert_eq!(records(&name), Some(Vec::new()), "{name}");
    }
    let elsewhere = address("fd12:3456:789a:9::1");
    for labels in 18..34 {
        let name = elsewhere.trim_to(labels).to_ascii();
        assert_eq!(records(&name), None, "{name}");
    }
    let beyond = address("fd12:3456:789a:2:1::1").trim_to(22).to_ascii();
    assert_eq!(records(&beyond), None, "{beyond}");
    assert_eq!(records("x.a.9.8.7.6.5.4.3.2.1.d.f.ip6.arpa."), None);
}

#[test]
fn the_zone_begins_with_its_authority_and_ends_where_others_begin() {
    for apex in ["slapbox.internal.", "a.9.8.7.6.5.4.3.2.1.d.f.ip6.arpa."] {
        let records = records(apex).unwrap();
        assert_eq!(
            records,
            [
                "comp-2.slapbox.internal. hostmaster.slapbox.internal. 1 3600 600 86400 60",
                "comp-2.slapbox.internal."
            ]
        );
    }
    for name in [
        ".",
        "internal.",
        "example.org.",
        "comp-1.xslapbox.internal.",
        "d.f.ip6.arpa.",
        "1.0.0.127.in-addr.arpa.",
    ] {
        assert_eq!(find(name), Found::Elsewhere, "{name}");
    }
    assert_eq!(
        zone().domains(),
        ["slapbox.internal", "a.9.8.7.6.5.4.3.2.1.d.f.ip6.arpa"]
    );
}

#[test]
fn who_is_called_as_no_host_can_be_has_no_name() {
    let mut odd = peer(1, None);
    odd.reference = "under_score.dot".parse().unwrap();
    let zone = Zone::new(&document(2, vec![odd])).unwrap();
    let name = Name::from_ascii("under_score.dot.slapbox.internal.").unwrap();
    assert!(matches!(zone.find(&name), Found::Nothing(_)));
}
