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
        addresses: Vec::new(),
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
    let view = members.view(&name(computer), 0).unwrap();
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
    assert_eq!(place.link_address.to_string(), "fd12:3456:789a::2:0:1");
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
fn everybody_sees_everybody_else() {
    let members = members("fd12:3456:789a::/48", 3);
    assert_eq!(peers(&members, 1), ["COMP-2", "COMP-3"]);
    assert_eq!(peers(&members, 2), ["COMP-1", "COMP-3"]);
    assert!(members.view(&name(4), 0).is_none());
}

#[test]
fn the_registry_is_where_it_is_told_or_else_where_the_first_one_is() {
    let host = |members: &Members| members.view(&name(1), 0).unwrap().host.unwrap();
    assert_eq!(host(&members("fd12:3456:789a::/48", 2)), name(1));
    let mut members = Members::new("fd12:3456:789a::/48".parse().unwrap());
    members.set_host(name(2));
    members.join(&name(1), facts(1), None).unwrap();
    assert_eq!(host(&members), name(2), "though it has not joined yet");
}

#[test]
fn who_asks_again_hears_what_changed_and_knows_all_then() {
    let mut members = members("fd12:3456:789a::/48", 4);
    let known = members.view(&name(1), 0).unwrap();
    members.join(&name(5), facts(5), None).unwrap();
    members.join(&name(2), facts(22), None).unwrap();
    members.release(&name(3));
    let news = members.view(&name(1), known.version).unwrap();
    let numbers: Vec<_> = news.peers.iter().map(Peer::number).collect();
    assert_eq!((numbers, &news.gone[..]), (vec![2, 5], &[3][..]));
    let all = members.view(&name(1), 0).unwrap();
    assert_eq!(known.with(news), Some(all.clone()));

    members.join(&name(5), facts(5), None).unwrap();
    let nothing = members.view(&name(1), all.version).unwrap();
    assert_eq!(
        nothing.version, all.version,
        "they have said the same before"
    );
    assert!(nothing.peers.is_empty());

    members.join(&name(6), facts(6), None).unwrap();
    let news = members.view(&name(1), all.version).unwrap();
    assert_eq!(
        news.peers[0].number(),
        3,
        "who comes gets the number of who went"
    );
    assert!(news.gone.is_empty());
    let now = all.with(news).unwrap();
    assert_eq!(Some(now), members.view(&name(1), 0));
}

#[test]
fn who_asks_with_another_registrys_version_hears_all() {
    let mut members = members("fd12:3456:789a::/48", 3);
    let all = members.view(&name(1), 0).unwrap();
    assert_eq!(members.view(&name(1), all.version + 7), Some(all.clone()));
    members.set_host(name(2));
    let moved = members.view(&name(1), all.version).unwrap();
    assert_eq!((moved.since, moved.peers.len()), (0, 2));
    assert_eq!(moved.host, Some(name(2)));
    let stray = View {
        since: 3,
        ..moved.clone()
    };
    assert_eq!(all.with(stray), None, "what was added to something else");
}

#[test]
fn those_who_went_long_ago_are_forgotten() {
    let mut members = members("fd12:3456:789a::/48", 2);
    let old = members.view(&name(1), 0).unwrap();
    let numbers = (100..).take(MOST_GONE);
    members.gone = numbers.map(|number| (number, members.version)).collect();
    members.join(&name(3), facts(3), None).unwrap();
    members.release(&name(3));
    assert!(members.gone.len() <= MOST_GONE);
    let news = members.view(&name(1), old.version).unwrap();
    assert_eq!(news.since, 0, "everything is told anew");
    assert_eq!(news.peers.len(), 1);
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

#[test]
fn a_network_that_is_called_otherwise_is_news() {
    let mut members = members("fd12:3456:789a::/48", 2);
    let before = members.view(&name(1), 0).unwrap();
    assert_eq!(before.domain.as_str(), "slapbox.internal");
    members.set_domain(Domain::default());
    assert_eq!(members.version, before.version, "it is called so already");
    members.set_domain("cloud.example".parse().unwrap());
    let news = members.view(&name(1), before.version).unwrap();
    assert_eq!((news.peers.len(), news.since), (0, before.version));
    let now = before.with(news).unwrap();
    assert_eq!((now.domain.as_str(), now.peers.len()), ("cloud.example", 1));
}
