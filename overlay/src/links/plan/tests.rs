//! The plan leads from any links to any others, and converged links need no action.

use std::net::Ipv6Addr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::links::{LOOPBACK, WireGuard, tunnel_name};

/// A node with some peers, each with its tunnel, as re6st decides it.
fn desired(peers: &BTreeSet<u8>, key: u8, mtu: u32) -> Desired {
    let link_address = |index: u8| Ipv6Addr::new(0xfd12, 0, 0, 0xffff, 0, 0, 0, index.into());
    let own = link_address(0xee);
    let mut desired = Desired {
        wireguard: WireGuard {
            private_key: PrivateKey::new([key; 32]),
            port: 6326,
            mtu: mtu + 40,
            peers: [].into(),
        },
        tunnels: [].into(),
        addresses: [
            (WIREGUARD.to_owned(), own.into()),
            (LOOPBACK.to_owned(), "fd12::1/128".parse().unwrap()),
        ]
        .into(),
        routes: [
            Route::Through {
                to: "fd12:0:0:ffff::/64".parse().unwrap(),
                link: WIREGUARD.to_owned(),
            },
            Route::Unreachable("fd12::/48".parse().unwrap()),
        ]
        .into(),
    };
    for peer in peers {
        let endpoint = Some(SocketAddr::from(([192, 0, 2, *peer], 6326)));
        let wireguard = Peer {
            allowed: link_address(*peer).into(),
            endpoint,
            moves: false,
            keepalive: 25,
        };
        desired
            .wireguard
            .peers
            .insert(PublicKey([*peer; 32]), wireguard);
        let name = tunnel_name((*peer).into());
        desired
            .addresses
            .insert((name.clone(), "fe80::ee/64".parse().unwrap()));
        // A key that changes stands for a node that got another place in the network.
        let local = if key == 1 { own } else { link_address(0xdd) };
        desired.tunnels.insert(
            name,
            Tunnel {
                local,
                remote: link_address(*peer),
                mtu,
            },
        );
    }
    desired
}

/// What the kernel would have after a step; like the kernel, it refuses what cannot be.
#[expect(clippy::too_many_lines, reason = "one arm a step")]
fn after(mut observed: Observed, action: &Action) -> Observed {
    fn wireguard(observed: &mut Observed) -> &mut ObservedWireGuard {
        observed
            .wireguard
            .as_mut()
            .expect("there is a WireGuard interface")
    }
    let there = |observed: &Observed, link: &str| {
        let known = link == LOOPBACK || link == WIREGUARD && observed.wireguard.is_some();
        assert!(
            known || observed.tunnels.contains_key(link),
            "{link} is there"
        );
    };
    match action.clone() {
        Action::RemoveLink(name) => {
            assert!(observed.tunnels.remove(&name).is_some() || observed.impostors.remove(&name));
            observed.addresses.retain(|(link, _)| *link != name);
            observed.routes.retain(|route| route.link() != Some(&name));
        }
        Action::RemoveRoute(route) => assert!(observed.routes.remove(&route)),
        Action::RemoveAddress { link, address } => {
            assert!(observed.addresses.remove(&(link, address)))
        }
        Action::AddWireGuard { mtu } => {
            assert!(observed.wireguard.is_none());
            observed.wireguard = Some(ObservedWireGuard {
                mtu,
                ..ObservedWireGuard::default()
            });
        }
        Action::SetPrivateKey(key) => wireguard(&mut observed).private_key = Some(key),
        Action::SetPort(port) => wireguard(&mut observed).port = port,
        Action::RemovePeer(key) => assert!(wireguard(&mut observed).peers.remove(&key).is_some()),
        Action::SetPeer {
            key,
            allowed,
            keepalive,
        } => {
            let peer = wireguard(&mut observed).peers.entry(key).or_default();
            (peer.allowed, peer.keepalive) = ([allowed].into(), keepalive);
        }
        Action::SetEndpoint { key, endpoint } => {
            wireguard(&mut observed)
                .peers
                .get_mut(&key)
                .expect("the peer is known")
                .endpoint = Some(endpoint);
        }
        Action::AddTunnel { name, tunnel } => {
            there(&observed, WIREGUARD);
            let made = ObservedTunnel {
                ends: Some((tunnel.local, tunnel.remote)),
                mtu: tunnel.mtu,
                up: false,
            };
            assert_eq!(observed.tunnels.insert(name, made), None);
        }
        Action::KeepBare(link) => assert!(!observed.tunnels[&link].up),
        Action::SetMtu { link, mtu } if link == WIREGUARD => wireguard(&mut observed).mtu = mtu,
        Action::SetMtu { link, mtu } => observed.tunnels.get_mut(&link).unwrap().mtu = mtu,
        Action::RaiseLink(link) if link == WIREGUARD => wireguard(&mut observed).up = true,
        Action::RaiseLink(link) => observed.tunnels.get_mut(&link).unwrap().up = true,
        Action::AddAddress { link, address } => {
            there(&observed, &link);
            assert!(observed.addresses.insert((link, address)));
        }
        Action::AddRoute(route) => {
            route.link().iter().for_each(|link| there(&observed, link));
            assert!(observed.routes.insert(route));
        }
    }
    observed
}

fn carried_out(desired: &Desired, observed: Observed) -> Observed {
    plan(desired, &observed).iter().fold(observed, after)
}

proptest! {
    #[test]
    fn the_plan_leads_from_any_links_to_any_others(
        first in prop::collection::btree_set(1_u8..7, 0..6),
        second in prop::collection::btree_set(1_u8..7, 0..6),
        keys in (1_u8..3, 1_u8..3),
        mtus in (1280_u32..1282, 1280_u32..1282),
    ) {
        let there = carried_out(&desired(&first, keys.0, mtus.0), Observed::default());
        let target = desired(&second, keys.1, mtus.1);
        let arrived = carried_out(&target, there);
        prop_assert_eq!(plan(&target, &arrived), Vec::new(), "converged links need no action");
        let fresh = carried_out(&target, Observed::default());
        prop_assert_eq!(arrived, fresh, "the way does not matter");
    }
}

fn endpoint_steps(endpoint: &str, handshake_age: Option<Duration>) -> usize {
    steps_to(&desired(&[1].into(), 1, 1380), endpoint, handshake_age)
}

fn steps_to(target: &Desired, endpoint: &str, handshake_age: Option<Duration>) -> usize {
    let mut observed = carried_out(target, Observed::default());
    let peers = &mut observed.wireguard.as_mut().unwrap().peers;
    let peer = peers.get_mut(&PublicKey([1; 32])).unwrap();
    peer.endpoint = Some(endpoint.parse().unwrap());
    peer.handshake_age = handshake_age;
    plan(target, &observed).len()
}

#[test]
fn a_peer_to_which_there_is_a_better_way_is_sent_there_once() {
    let mut target = desired(&[1].into(), 1, 1380);
    let peers = &mut target.wireguard.peers;
    peers.get_mut(&PublicKey([1; 32])).unwrap().moves = true;
    let heard = Some(Duration::from_secs(10));
    assert_eq!(steps_to(&target, "198.51.100.9:40000", heard), 1);
    assert_eq!(steps_to(&target, "192.0.2.1:6326", heard), 0);
}

#[test]
fn a_peer_that_answers_from_elsewhere_is_not_called_back() {
    let elsewhere = "198.51.100.9:40000";
    assert_eq!(endpoint_steps(elsewhere, Some(Duration::from_secs(10))), 0);
    assert_eq!(endpoint_steps(elsewhere, Some(Duration::from_secs(181))), 1);
    assert_eq!(endpoint_steps(elsewhere, None), 1);
    assert_eq!(endpoint_steps("192.0.2.1:6326", None), 0);
}

#[test]
fn an_interface_of_another_kind_with_our_name_is_replaced() {
    let target = desired(&[1].into(), 1, 1380);
    let observed = Observed {
        impostors: ["slt1".to_owned(), WIREGUARD.to_owned()].into(),
        ..Observed::default()
    };
    let arrived = carried_out(&target, observed);
    assert_eq!(plan(&target, &arrived), Vec::new());
}

#[test]
fn a_plan_in_words_does_not_tell_the_key() {
    let actions = plan(&desired(&[1].into(), 1, 1380), &Observed::default());
    let words =
        format!("{actions:?}") + &actions.iter().map(ToString::to_string).collect::<String>();
    assert!(words.contains("set the key of slapwg0"));
    assert!(!words.contains(&PrivateKey::new([1; 32]).reveal_text()));
}

#[test]
fn names_of_tunnels_are_recognised_and_no_others() {
    for name in ["slt1", "sltff", "sltfffe"] {
        assert!(crate::links::is_tunnel_name(name), "{name}");
    }
    for name in ["slt", "slt01", "sltFF", "sltxyz", "slaptap1", "xslt1"] {
        assert!(!crate::links::is_tunnel_name(name), "{name}");
    }
}
