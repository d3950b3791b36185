//! Which address of a peer is tried, and when its name is resolved.

use super::*;

fn peer() -> Reference {
    "COMP-1".parse().unwrap()
}

fn wanted() -> BTreeSet<Reference> {
    BTreeSet::from([peer()])
}

fn addresses() -> Vec<SocketAddr> {
    vec![
        "192.0.2.1:6326".parse().unwrap(),
        "[2001:db8::1]:6326".parse().unwrap(),
    ]
}

fn known(now: Instant) -> Endpoints {
    let mut endpoints = Endpoints::default();
    endpoints.set_names([(peer(), vec!["host:6326".to_owned()])].into());
    assert!(
        endpoints.ask(&BTreeSet::new(), |_| false, now).is_empty(),
        "nobody need reach it"
    );
    assert_eq!(
        endpoints.ask(&wanted(), |_| false, now),
        [(peer(), "host:6326".to_owned())]
    );
    endpoints.answer(&peer(), "host:6326", addresses());
    endpoints
}

#[tokio::test]
async fn a_silent_peer_is_tried_at_its_other_addresses() {
    let start = Instant::now();
    let mut endpoints = known(start);
    let chosen = |endpoints: &mut Endpoints, seconds| {
        endpoints.choose(&wanted(), |_| false, start + Duration::from_secs(seconds))[&peer()]
    };
    assert_eq!(chosen(&mut endpoints, 1), addresses()[0]);
    assert_eq!(chosen(&mut endpoints, 7), addresses()[1]);
    assert_eq!(chosen(&mut endpoints, 9), addresses()[1]);
    assert_eq!(chosen(&mut endpoints, 14), addresses()[0]);
}

#[tokio::test]
async fn who_need_not_be_reached_is_not_tried() {
    let start = Instant::now();
    let mut endpoints = known(start);
    for seconds in [1, 100, 200] {
        let now = start + Duration::from_secs(seconds);
        let chosen = endpoints.choose(&BTreeSet::new(), |_| false, now);
        assert_eq!(chosen[&peer()], addresses()[0]);
    }
}

#[tokio::test]
async fn who_is_called_again_after_a_while_is_called_elsewhere() {
    let start = Instant::now();
    let mut endpoints = known(start);
    let mut chosen = |seconds: u64| {
        let now = start + Duration::from_secs(seconds);
        let at = endpoints.choose(&wanted(), |_| false, now)[&peer()];
        endpoints.choose(&BTreeSet::new(), |_| false, now + Duration::from_secs(3));
        at
    };
    assert_eq!([chosen(0), chosen(120)], [addresses()[0], addresses()[1]]);
}

#[tokio::test]
async fn the_address_that_answers_is_kept_even_when_the_resolver_shuffles() {
    let start = Instant::now();
    let mut endpoints = known(start);
    endpoints.choose(&wanted(), |_| false, start);
    endpoints.choose(&wanted(), |_| false, start + Duration::from_secs(7));
    endpoints.answer(
        &peer(),
        "host:6326",
        addresses().into_iter().rev().collect(),
    );
    let chosen = endpoints.choose(&wanted(), |_| true, start + Duration::from_secs(3600));
    assert_eq!(chosen[&peer()], addresses()[1]);
}

#[tokio::test]
async fn names_are_resolved_again_sooner_in_silence() {
    let start = Instant::now();
    let mut endpoints = known(start);
    let later = start + Duration::from_secs(60);
    assert!(endpoints.ask(&wanted(), |_| true, later).is_empty());
    assert_eq!(endpoints.ask(&wanted(), |_| false, later).len(), 1);
    endpoints.answer(&peer(), "host:6326", Vec::new());
    assert_eq!(
        endpoints.choose(&wanted(), |_| false, later).len(),
        1,
        "no answer forgets nothing"
    );
    endpoints.set_names(BTreeMap::new());
    assert!(endpoints.choose(&wanted(), |_| false, later).is_empty());
}

#[tokio::test]
async fn an_address_needs_no_resolver_and_comes_where_it_was_told() {
    let start = Instant::now();
    let mut endpoints = known(start);
    let names = ["192.0.2.9:1", "host:6326"].map(str::to_owned).to_vec();
    endpoints.set_names([(peer(), names)].into());
    assert!(
        endpoints.ask(&wanted(), |_| true, start).is_empty(),
        "what was resolved before still is"
    );
    let chosen = endpoints.choose(&wanted(), |_| true, start)[&peer()];
    assert_eq!(chosen, addresses()[0], "the one in use stays in use");
    let names = vec!["192.0.2.9:1".to_owned()];
    endpoints.set_names([(peer(), names)].into());
    let chosen = endpoints.choose(&wanted(), |_| true, start)[&peer()];
    assert_eq!(chosen.to_string(), "192.0.2.9:1");
}

#[tokio::test]
async fn what_is_told_while_others_are_tried_in_vain_is_tried_at_once() {
    let start = Instant::now();
    let mut endpoints = Endpoints::default();
    let told = |names: &[&str]| {
        let names = names.iter().map(ToString::to_string).collect();
        [(peer(), names)].into()
    };
    endpoints.set_names(told(&["192.168.0.2:6326"]));
    endpoints.choose(&wanted(), |_| false, start);
    endpoints.set_names(told(&["198.51.100.9:41000", "192.168.0.2:6326"]));
    let chosen = endpoints.choose(&wanted(), |_| false, start + Duration::from_secs(1));
    assert_eq!(chosen[&peer()].to_string(), "198.51.100.9:41000");
}
