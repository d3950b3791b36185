//! Who gets which place, who sees whom, and when that moves.

use super::*;

fn name(number: u32) -> Reference {
    format!("COMP-{number}").parse().unwrap()
}

fn facts(key: u8) -> Facts {
    Facts {
        wireguard_public_key: PublicKey([key; 32]),
        port: 6326,
        endpoint: None,
    }
}

fn members(network: &str, count: u8) -> Members {
    let mut members = Members::new(network.parse().unwrap());
    for number in 1..=count {
        members
            .join(&name(number.into()), facts(number), None)
            .unwrap();
    }
    members
}

fn peers(members: &Members, computer: u32) -> Vec<String> {
    let view = members.view(&name(computer)).unwrap();
    view.peers
        .iter()
        .map(|peer| peer.reference.to_string())
        .collect()
}

#[test]
fn a_computer_keeps_its_prefix_whatever_it_changes() {
    let mut members = members("fd12:3456:789a::/48", 3);
    let place = members.place_of(&name(2)).unwrap();
    assert_eq!(place.prefix.to_string(), "fd12:3456:789a:2::/64");
    assert_eq!(place.link_address.to_string(), "fd12:3456:789a::2");
    members.release(&name(1));
    members.join(&name(2), facts(77), None).unwrap();
    assert_eq!(members.place_of(&name(2)), Some(place));
    members.join(&name(9), facts(9), None).unwrap();
    assert_eq!(
        members.place_of(&name(9)).unwrap().prefix.to_string(),
        "fd12:3456:789a:1::/64",
        "a freed prefix is given again"
    );
}

#[test]
fn the_hub_sees_all_and_the_others_see_the_hub() {
    let members = members("fd12:3456:789a::/48", 3);
    assert_eq!(peers(&members, 1), ["COMP-2", "COMP-3"]);
    assert_eq!(peers(&members, 2), ["COMP-1"]);
    assert!(members.view(&name(4)).is_none());
}

#[test]
fn a_hub_that_was_named_need_not_be_the_first() {
    let mut members = Members::new("fd12:3456:789a::/48".parse().unwrap());
    members.set_hub(name(2));
    members.join(&name(1), facts(1), None).unwrap();
    assert!(peers(&members, 1).is_empty(), "the hub is not there yet");
    let before = members.view(&name(1)).unwrap().version;
    members.join(&name(2), facts(2), None).unwrap();
    assert_eq!(peers(&members, 1), ["COMP-2"]);
    assert!(members.view(&name(1)).unwrap().version > before);
}

#[test]
fn only_the_hub_is_woken_by_a_newcomer() {
    let mut members = members("fd12:3456:789a::/48", 2);
    let versions =
        |members: &Members| [1, 2].map(|number| members.view(&name(number)).unwrap().version);
    let [hub, node] = versions(&members);
    members.join(&name(3), facts(3), None).unwrap();
    assert_eq!(versions(&members), [hub + 1, node]);
    members.join(&name(3), facts(3), None).unwrap();
    assert_eq!(versions(&members), [hub + 1, node], "nothing new");
    members.join(&name(1), facts(11), None).unwrap();
    assert_eq!(
        versions(&members),
        [hub + 2, hub + 2],
        "the hub's new key concerns all"
    );
}

#[test]
fn a_full_network_says_so_and_changes_nothing() {
    let mut members = members("fd12:3456:789a::/60", 15);
    let before = members.clone();
    let refusal = members.join(&name(16), facts(16), None).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "the network fd12:3456:789a::/60 is full: every prefix is taken"
    );
    assert_eq!(members, before);
    members.join(&name(14), facts(99), None).unwrap();
}

#[test]
fn two_computers_with_one_key_are_refused() {
    let mut members = members("fd12:3456:789a::/48", 2);
    assert_eq!(
        members.join(&name(3), facts(2), None),
        Err(Refusal::KeyTaken)
    );
    assert_eq!(
        members.join(&name(1), facts(2), None),
        Err(Refusal::KeyTaken)
    );
}

#[test]
fn endpoints_are_host_and_port() {
    for good in ["203.0.113.7:6326", "[2001:db8::1]:6326", "box.example:1"] {
        assert!(is_endpoint(good), "{good}");
    }
    for bad in [
        "",
        "box.example",
        "box.example:0",
        "box.example:99999",
        "2001:db8::1:6326",
        "a b:1",
        ":1",
        "x:\n1",
    ] {
        assert!(!is_endpoint(bad), "{bad}");
    }
}

#[test]
fn a_computer_of_a_region_gets_its_prefix_there_and_keeps_it() {
    let mut members = Members::new("fd12:3456:789a::/48".parse().unwrap());
    let part: Ipv6Net = "fd12:3456:789a:8000::/63".parse().unwrap();
    members.set_regions(BTreeMap::from([("eu".to_owned(), part)]));
    members.join(&name(1), facts(1), Some("eu")).unwrap();
    members.join(&name(2), facts(2), Some("us")).unwrap();
    members.join(&name(3), facts(3), None).unwrap();
    let prefix = |members: &Members, number| members.place_of(&name(number)).unwrap().prefix;
    assert!(part.contains(&prefix(&members, 1)));
    assert_eq!(prefix(&members, 2).to_string(), "fd12:3456:789a:1::/64");
    assert_eq!(prefix(&members, 3).to_string(), "fd12:3456:789a:2::/64");
    let before = prefix(&members, 1);
    members.set_regions(BTreeMap::new());
    members.join(&name(1), facts(11), Some("us")).unwrap();
    assert_eq!(prefix(&members, 1), before);

    members.set_regions(BTreeMap::from([("eu".to_owned(), part)]));
    members.join(&name(4), facts(4), Some("eu")).unwrap();
    let full = members.join(&name(5), facts(5), Some("eu")).unwrap_err();
    assert_eq!(
        full.to_string(),
        "the region `eu`, which has fd12:3456:789a:8000::/63, is full: every prefix is taken"
    );
}
