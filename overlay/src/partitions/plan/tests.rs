//! The plan leads from any state to any other, and a converged node needs no action.

use ipnet::Ipv4Net;
use proptest::prelude::*;

use super::*;
use crate::partitions::network_of;

fn desired(partitions: &BTreeSet<u16>, owner: u32) -> Desired {
    let prefix = "fd12:3456:789a:1::/64".parse().unwrap();
    let partitions: Vec<_> = partitions
        .iter()
        .map(|index| network_of(prefix, *index, owner))
        .collect();
    Desired::from(partitions.as_slice())
}

/// The same, with IPv4 of one of several networks for each tap, or without.
fn routed(mut desired: Desired, network: u8) -> Desired {
    if network > 0 {
        for (number, tap) in (2..).zip(desired.taps.values_mut()) {
            tap.ipv4 = Some([203, 0, network, number].into());
        }
        let address = Ipv4Net::new([203, 0, network, 1].into(), 28).unwrap();
        desired.uplink = Some(Uplink {
            interface: "outside".to_owned(),
            address,
        });
    }
    desired
}

/// What the kernel would have after a step; like the kernel, it refuses what cannot be.
fn after(mut observed: Observed, action: &Action) -> Observed {
    fn tap<'a>(observed: &'a mut Observed, name: &str) -> &'a mut ObservedTap {
        observed.taps.get_mut(name).expect("the tap is there")
    }
    match action.clone() {
        Action::RemoveTap(name) => assert!(observed.taps.remove(&name).is_some()),
        Action::RemoveAddress(address) => {
            assert_eq!(observed.addresses.remove(&address), Some(true))
        }
        Action::RemoveRange(range) => assert!(observed.ranges.remove(&range)),
        Action::MakeTap { name, owner } => {
            let tap = observed.taps.entry(name).or_default();
            (tap.is_tap, tap.owner) = (true, Some(owner));
        }
        Action::AddAddress(address) => assert_eq!(observed.addresses.insert(address, true), None),
        Action::AddRange(range) => assert!(observed.ranges.insert(range)),
        Action::RaiseTap(name) => tap(&mut observed, &name).up = true,
        Action::RemoveTapAddress { tap: name, address } => {
            assert!(tap(&mut observed, &name).addresses.remove(&address))
        }
        Action::AddTapAddress { tap: name, address } => {
            assert!(tap(&mut observed, &name).addresses.insert(address))
        }
        Action::RemoveTapLink { tap: name, to } => {
            assert!(tap(&mut observed, &name).routes.remove(&(to, None)))
        }
        Action::AddTapLink { tap: name, to } => {
            let tap = tap(&mut observed, &name);
            assert!(tap.up, "a route needs an interface that is up");
            assert!(tap.routes.insert((to, None)));
        }
        Action::RemoveTapRoute { tap: name, to, via } => {
            assert!(tap(&mut observed, &name).routes.remove(&(to, Some(via))))
        }
        Action::AddTapRoute { tap: name, to, via } => {
            let tap = tap(&mut observed, &name);
            assert!(
                tap.routes.contains(&(via.into(), None)),
                "a gateway must be reachable"
            );
            assert!(tap.routes.insert((to, Some(via))));
        }
        Action::RemoveTapWay { tap: name, to } => {
            assert!(tap(&mut observed, &name).ways.remove(&to))
        }
        Action::AddTapWay { tap: name, to } => {
            let tap = tap(&mut observed, &name);
            assert!(tap.up, "a route needs an interface that is up");
            assert!(tap.ways.insert(to));
        }
        Action::RemoveUplink(uplink) => assert_eq!(observed.uplinks.remove(&uplink), Some(true)),
        Action::AddUplink(uplink) => assert_eq!(observed.uplinks.insert(uplink, true), None),
        Action::Forward(interface) => assert!(observed.forwarding.insert(interface)),
    }
    observed
}

fn carried_out(desired: &Desired, observed: Observed) -> Observed {
    plan(desired, &observed).iter().fold(observed, after)
}

proptest! {
    #[test]
    fn the_plan_leads_from_any_state_to_any_other(
        first in prop::collection::btree_set(0_u16..6, 0..6),
        second in prop::collection::btree_set(0_u16..6, 0..6),
        owners in (0_u32..3, 0_u32..3),
        networks in (0_u8..3, 0_u8..3),
    ) {
        let there = carried_out(&routed(desired(&first, owners.0), networks.0), Observed::default());
        let target = routed(desired(&second, owners.1), networks.1);
        let arrived = carried_out(&target, there);
        prop_assert_eq!(plan(&target, &arrived), Vec::new(), "a converged node needs no action");
        let fresh = carried_out(&target, Observed::default());
        // What forwards once goes on: nothing is left that it could forward.
        let arrived = Observed { forwarding: fresh.forwarding.clone(), ..arrived };
        prop_assert_eq!(arrived, fresh, "the way does not matter");
    }
}

#[test]
fn an_impostor_is_replaced_by_a_tap() {
    let mut observed = Observed::default();
    observed
        .taps
        .insert("slaptap0".to_owned(), ObservedTap::default());
    let actions = plan(&desired(&[0].into(), 7), &observed);
    assert_eq!(actions[0], Action::RemoveTap("slaptap0".to_owned()));
    assert_eq!(
        actions[1],
        Action::MakeTap {
            name: "slaptap0".to_owned(),
            owner: 7
        }
    );
}

#[test]
fn an_address_that_somebody_else_made_is_used_and_left() {
    let address: IpAddr = "10.0.0.2".parse().unwrap();
    let mut observed = Observed::default();
    observed.addresses.insert(address, false);
    assert!(!plan(&desired(&[0].into(), 7), &observed).contains(&Action::AddAddress(address)));
    assert_eq!(plan(&Desired::default(), &observed), Vec::new());
}

#[test]
fn a_tap_that_went_down_gets_back_what_it_lost() {
    let target = desired(&[0].into(), 7);
    let mut observed = carried_out(&target, Observed::default());
    let tap = observed.taps.get_mut("slaptap0").unwrap();
    *tap = ObservedTap {
        is_tap: true,
        owner: Some(7),
        ..ObservedTap::default()
    };
    let words: Vec<_> = plan(&target, &observed)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        words,
        [
            "set tap slaptap0 up",
            "add address fd12:3456:789a:1:8001:ffff:ffff:ffff/80 to slaptap0",
            "add route to fd12:3456:789a:1:8001::1/128 through slaptap0",
            "add route to fd12:3456:789a:1:8001::/80 by fd12:3456:789a:1:8001::1 through slaptap0",
        ]
    );
}
