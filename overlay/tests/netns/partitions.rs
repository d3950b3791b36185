//! Two hundred partitions' network, the first time, again, and after somebody meddled.

use slapbox_overlay::partitions::{Outcome, PartitionNetwork, Uplink, network_of, reconcile};

use crate::lab::Namespace;

fn partitions(count: u16) -> Vec<PartitionNetwork> {
    let prefix = "fd12:3456:789a:1::/64".parse().unwrap();
    (0..count)
        .map(|index| network_of(prefix, index, 5000 + u32::from(index)))
        .collect()
}

/// Reconciles without a failure; returns how many things were changed.
fn reconciled(namespace: &Namespace, desired: Vec<PartitionNetwork>) -> usize {
    reconciled_with(namespace, desired, None)
}

fn reconciled_with(
    namespace: &Namespace,
    desired: Vec<PartitionNetwork>,
    uplink: Option<Uplink>,
) -> usize {
    let outcome: Outcome =
        namespace.run_async(async move || reconcile(&desired, uplink.as_ref()).await.unwrap());
    assert!(outcome.failures.is_empty(), "{:#?}", outcome.failures);
    outcome.changed
}

#[test]
fn two_hundred_partitions_are_made_once_and_then_left_alone() {
    let Some(namespace) = Namespace::open() else {
        return;
    };
    // Two addresses, a range, a tap that is set up, its address and two routes.
    assert_eq!(reconciled(&namespace, partitions(200)), 200 * 8);
    assert_eq!(reconciled(&namespace, partitions(200)), 0);
}

#[test]
fn the_kernel_has_what_a_partition_needs() {
    let Some(namespace) = Namespace::open() else {
        return;
    };
    reconciled(&namespace, partitions(2));
    let addresses = namespace.ip("address show dev lo");
    assert!(
        addresses.contains("inet6 fd12:3456:789a:1::3/128 scope global nodad noprefixroute"),
        "{addresses}"
    );
    assert!(addresses.contains("inet 10.0.0.3/32"), "{addresses}");
    let local = namespace.ip("-6 route show table local");
    assert!(
        local.contains("local fd12:3456:789a:1:4002::/80 dev lo"),
        "{local}"
    );
    let tap = namespace.ip("-details address show dev slaptap1");
    assert!(
        tap.contains("inet6 fd12:3456:789a:1:8002:ffff:ffff:ffff/80"),
        "{tap}"
    );
    assert!(tap.contains("persist on user 5001"), "{tap}");
    assert!(!tap.contains("tentative"), "{tap}");
    let routes = namespace.ip("-6 route show dev slaptap1");
    assert!(routes.contains("fd12:3456:789a:1:8002::1 "), "{routes}");
    assert!(
        routes.contains("fd12:3456:789a:1:8002::/80 via fd12:3456:789a:1:8002::1 "),
        "{routes}"
    );
}

#[test]
fn what_somebody_deleted_comes_back_and_nothing_else_is_touched() {
    let Some(namespace) = Namespace::open() else {
        return;
    };
    reconciled(&namespace, partitions(5));
    namespace.ip("link delete slaptap3");
    namespace.ip("address delete 10.0.0.4/32 dev lo");
    namespace.ip("-6 address delete fd12:3456:789a:1::2/128 dev lo");
    namespace.ip("-6 route delete local fd12:3456:789a:1:4001::/80 dev lo");
    namespace.ip("link set slaptap1 down");
    // The tap with its four things, two addresses, the range; and what a tap loses when it goes down.
    let changed = reconciled(&namespace, partitions(5));
    assert_eq!(changed, 5 + 2 + 1 + 4);
    assert_eq!(reconciled(&namespace, partitions(5)), 0);
}

#[test]
fn a_tap_that_belongs_to_another_user_is_given_back() {
    let Some(namespace) = Namespace::open() else {
        return;
    };
    namespace.ip("tuntap add slaptap0 mode tap user 4711");
    reconciled(&namespace, partitions(1));
    assert!(
        namespace
            .ip("-details link show slaptap0")
            .contains("user 5000")
    );
}

#[test]
fn what_is_no_longer_desired_goes_and_foreign_things_stay() {
    let Some(namespace) = Namespace::open() else {
        return;
    };
    namespace.ip("tuntap add foreign0 mode tap");
    namespace.ip("address add 10.0.7.7/32 dev lo");
    namespace.ip("address add fd12:3456:789a:1::4d/128 dev lo nodad");
    namespace.ip("-6 route add local fd12:3456:789a:1:4fff::/80 dev lo");
    let before = namespace.ip("address show");
    reconciled(&namespace, partitions(3));
    reconciled(&namespace, partitions(1));
    let links = namespace.ip("-brief link show");
    assert!(
        links.contains("slaptap0") && !links.contains("slaptap1"),
        "{links}"
    );
    assert!(!namespace.ip("address show dev lo").contains("10.0.0.3"));
    reconciled(&namespace, Vec::new());
    assert_eq!(namespace.ip("address show"), before);
    assert!(
        namespace
            .ip("-6 route show table local")
            .contains("4fff::/80")
    );
}

#[test]
fn a_new_prefix_replaces_the_old_one() {
    let Some(namespace) = Namespace::open() else {
        return;
    };
    reconciled(&namespace, partitions(3));
    let moved: Vec<_> = (0..3)
        .map(|index| {
            network_of(
                "2001:db8:0:5::/64".parse().unwrap(),
                index,
                5000 + u32::from(index),
            )
        })
        .collect();
    reconciled(&namespace, moved.clone());
    assert_eq!(reconciled(&namespace, moved), 0);
    let all = namespace.ip("-6 address show") + &namespace.ip("-6 route show table all");
    assert!(!all.contains("fd12:3456:789a"), "{all}");
}

fn uplink() -> Uplink {
    Uplink {
        interface: "outside".to_owned(),
        address: "203.0.113.1/28".parse().unwrap(),
    }
}

/// Partitions of which each has an address of the uplink's network.
fn routed(count: u16) -> Vec<PartitionNetwork> {
    let mut all = partitions(count);
    for (number, partition) in (2_u8..).zip(&mut all) {
        partition.tap.ipv4 = Some([203, 0, 113, number].into());
    }
    all
}

#[test]
fn a_tap_has_an_address_of_the_network_outside() {
    let Some(namespace) = Namespace::open() else {
        return;
    };
    namespace.ip("tuntap add outside mode tap");
    namespace.ip("link set outside up");
    reconciled(&namespace, partitions(2));
    // A route and the settings of each tap; the address of the interface and its settings.
    assert_eq!(
        reconciled_with(&namespace, routed(2), Some(uplink())),
        2 * 2 + 2
    );
    assert_eq!(reconciled_with(&namespace, routed(2), Some(uplink())), 0);
    let routes = namespace.ip("-4 route show dev slaptap1");
    assert!(
        routes.starts_with("203.0.113.3 proto 115 scope link"),
        "{routes}"
    );
    let outside = namespace.ip("address show dev outside");
    assert!(outside.contains("inet 203.0.113.1/28"), "{outside}");
    // What somebody deleted comes back.
    namespace.ip("-4 route delete 203.0.113.2 dev slaptap0");
    namespace.ip("address delete 203.0.113.1/28 dev outside");
    assert_eq!(reconciled_with(&namespace, routed(2), Some(uplink())), 2);
    // What is no longer desired goes.
    reconciled(&namespace, partitions(2));
    let left = namespace.ip("-4 route show") + &namespace.ip("address show dev outside");
    assert!(!left.contains("203.0.113"), "{left}");
}

#[test]
fn an_address_that_the_interface_has_is_used_and_left() {
    let Some(namespace) = Namespace::open() else {
        return;
    };
    namespace.ip("tuntap add outside mode tap");
    namespace.ip("address add 203.0.113.1/28 dev outside");
    reconciled_with(&namespace, routed(1), Some(uplink()));
    reconciled(&namespace, partitions(1));
    let outside = namespace.ip("address show dev outside");
    assert!(outside.contains("inet 203.0.113.1/28"), "{outside}");
}

#[test]
fn an_interface_that_is_missing_is_said_and_stops_nothing_else() {
    let Some(namespace) = Namespace::open() else {
        return;
    };
    let outcome: Outcome =
        namespace.run_async(async || reconcile(&routed(1), Some(&uplink())).await.unwrap());
    let said: Vec<_> = outcome.failures.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "failed to add address 203.0.113.1/28 on outside",
            "failed to forward IPv4 from outside"
        ]
    );
    let routes = namespace.ip("-4 route show dev slaptap0");
    assert!(routes.starts_with("203.0.113.2 "), "{routes}");
}
