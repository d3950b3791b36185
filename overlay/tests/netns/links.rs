//! WireGuard and tunnels in the kernel: a hub and two nodes, routed by babeld. Kernels without them are told so.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::SystemTime;

use ipnet::Ipv6Net;
use slapbox_overlay::keys::{PrivateKey, PublicKey};
use slapbox_overlay::links::{
    Desired, LOOPBACK, Observed, Outcome, Peer, Route, Tunnel, WIREGUARD, WireGuard, look,
    reconcile, tunnel_name,
};

use crate::lab::{Namespace, skip};
use crate::node::{Node, eventually};

const PORT: u16 = 6326;

fn key(index: u16) -> PrivateKey {
    PrivateKey::new([index as u8; 32])
}

/// The public keys that belong to `key`.
fn public_key(index: u16) -> PublicKey {
    let text = match index {
        1 => "pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk=",
        2 => "zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk=",
        3 => "Xf7dO2vUf2+ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI=",
        other => panic!("node {other} has no key"),
    };
    text.parse().unwrap()
}

fn link_address(index: u16) -> Ipv6Addr {
    format!("fd12:3456:789a:ffff::{index:x}").parse().unwrap()
}

/// What a member with these peers shall have; the first peer is at an address if it is told.
fn desired(index: u16, peers: &[u16], endpoint: Option<SocketAddr>) -> Desired {
    let net = |text: &str| text.parse::<Ipv6Net>().unwrap();
    let prefix = net(&format!("fd12:3456:789a:{index:x}::/64"));
    let mut desired = Desired {
        wireguard: WireGuard {
            private_key: key(index),
            port: PORT,
            mtu: 1420,
            peers: [].into(),
        },
        tunnels: [].into(),
        addresses: [
            (
                LOOPBACK.to_owned(),
                net(&format!("fd12:3456:789a:{index:x}::1/128")),
            ),
            (WIREGUARD.to_owned(), link_address(index).into()),
        ]
        .into(),
        routes: [
            Route::Through {
                to: net("fd12:3456:789a:ffff::/64"),
                link: WIREGUARD.to_owned(),
            },
            Route::Unreachable(net("fd12:3456:789a::/48")),
            Route::Unreachable(prefix),
        ]
        .into(),
    };
    for peer in peers {
        let wireguard = Peer {
            allowed: link_address(*peer).into(),
            endpoint,
            keepalive: if endpoint.is_some() { 25 } else { 0 },
        };
        desired.wireguard.peers.insert(public_key(*peer), wireguard);
        let name = tunnel_name((*peer).into());
        desired
            .addresses
            .insert((name.clone(), net(&format!("fe80::{index:x}/64"))));
        let tunnel = Tunnel {
            local: link_address(index),
            remote: link_address(*peer),
            mtu: 1380,
        };
        desired.tunnels.insert(name, tunnel);
    }
    desired
}

fn reconciled(namespace: &Namespace, desired: Desired) -> Outcome {
    namespace.run_async(async move || reconcile(&desired, SystemTime::now()).await.unwrap())
}

/// Reconciles twice: the first time without a failure, the second time without a change.
fn settled(namespace: &Namespace, desired: &Desired) -> Observed {
    let first = reconciled(namespace, desired.clone());
    assert!(first.failures.is_empty(), "{:#?}", first.failures);
    let second = reconciled(namespace, desired.clone());
    assert_eq!(
        (second.changed, second.failures.len()),
        (0, 0),
        "{second:#?}"
    );
    second.observed
}

/// Says whether this kernel has what links are made of.
fn kernel_has_links(namespace: &Namespace) -> bool {
    let has = |kind: &str| {
        let made = namespace
            .attempt(&format!("ip link add probe0 type {kind}"))
            .is_ok();
        let _ = namespace.attempt("ip link delete probe0");
        made
    };
    has("wireguard") && has("ip6tnl local ::1 remote ::1")
}

/// A hub and two nodes that reach the hub over cables of their own.
fn star() -> Option<[Node; 3]> {
    let nodes = [Node::open(1)?, Node::open(2)?, Node::open(3)?];
    if !kernel_has_links(&nodes[0].namespace) {
        skip("this kernel has no WireGuard or no ip6tnl");
        return None;
    }
    for index in [2, 3] {
        let (near, far) = (&nodes[0].namespace, &nodes[index - 1].namespace);
        near.connect(&format!("cable{index}"), far, "cable");
        near.ip(&format!(
            "address add 192.0.2.1/32 peer 192.0.2.{index} dev cable{index}"
        ));
        far.ip(&format!(
            "address add 192.0.2.{index}/32 peer 192.0.2.1 dev cable"
        ));
    }
    Some(nodes)
}

#[test]
fn two_nodes_reach_each_other_through_the_hub() {
    let Some([mut hub, mut first, mut second]) = star() else {
        return;
    };
    let at_hub = Some(SocketAddr::from(([192, 0, 2, 1], PORT)));
    for (node, wanted) in [
        (&mut hub, desired(1, &[2, 3], None)),
        (&mut first, desired(2, &[1], at_hub)),
        (&mut second, desired(3, &[1], at_hub)),
    ] {
        settled(&node.namespace, &wanted);
        node.babel.interfaces.extend(wanted.tunnels.into_keys());
        node.start_babeld();
    }
    eventually("a node reaches the hub", || first.reaches(1));
    eventually("the hub forwards", || first.reaches(3));
    // 1380 bytes of a tunnel less the headers of IPv6 and of ICMP.
    first
        .namespace
        .command("ping -c 1 -W 2 -M do -s 1332 fd12:3456:789a:3::1");
    assert!(
        first
            .namespace
            .attempt("ping -c 1 -W 1 -M do -s 1333 fd12:3456:789a:3::1")
            .is_err()
    );

    let seen = settled(&hub.namespace, &desired(1, &[2, 3], None));
    let peer = &seen.wireguard.as_ref().unwrap().peers[&public_key(2)];
    assert!(peer.is_alive(), "{peer:?}");
    assert_eq!(
        peer.endpoint,
        Some(SocketAddr::from(([192, 0, 2, 2], PORT))),
        "the hub learned where the node is"
    );
    assert_eq!(
        seen.babel[&"fd12:3456:789a:3::/64".parse().unwrap()],
        "slt3"
    );

    settled(&hub.namespace, &desired(1, &[2], None));
    hub.babel.interfaces.remove("slt3");
    hub.reconcile();
    eventually("who was put out is reached no more", || {
        match hub.reaches(3) {
            Err(gone) => Ok(gone),
            Ok(there) => Err(there),
        }
    });
    eventually("the other one still is", || hub.reaches(2));
}

#[test]
fn links_of_others_and_links_that_somebody_broke() {
    let Some([hub, ..]) = star() else { return };
    let wanted = desired(1, &[2, 3], None);
    hub.namespace.ip("link add wg7 type wireguard");
    hub.namespace
        .ip("link add foreign type ip6tnl local 2001:db8::1 remote 2001:db8::2");
    settled(&hub.namespace, &wanted);

    hub.namespace.ip("link delete slt3");
    hub.namespace.ip("link set slt2 mtu 1300");
    hub.namespace
        .ip("address delete fd12:3456:789a:1::1/128 dev lo");
    hub.namespace
        .ip("-6 route delete unreachable fd12:3456:789a::/48");
    hub.namespace.ip("link set slapwg0 down");
    settled(&hub.namespace, &wanted);
    hub.namespace.ip("link delete slapwg0");
    settled(&hub.namespace, &wanted);

    let nobody = desired(1, &[], None);
    let seen = settled(&hub.namespace, &nobody);
    assert!(seen.tunnels.is_empty() && seen.wireguard.unwrap().peers.is_empty());
    let links = hub.namespace.ip("-brief link show");
    assert!(
        links.contains("wg7") && links.contains("foreign"),
        "{links}"
    );
}

#[test]
fn without_wireguard_the_rest_is_done_and_the_failure_is_told() {
    let Some(namespace) = Namespace::open() else {
        return;
    };
    if kernel_has_links(&namespace) {
        skip("this kernel has WireGuard");
        return;
    }
    let outcome = reconciled(&namespace, desired(1, &[2], None));
    assert_eq!(
        outcome.failures[0].to_string(),
        "failed to make WireGuard interface slapwg0 with MTU 1420"
    );
    let seen = namespace.run_async(async || look(SystemTime::now()).await.unwrap());
    let address = "fd12:3456:789a:1::1/128".parse().unwrap();
    assert!(
        seen.addresses.contains(&(LOOPBACK.to_owned(), address)),
        "{seen:#?}"
    );
    assert_eq!(seen.routes.len(), 2, "both unreachable routes: {seen:#?}");
    assert!(
        namespace
            .ip("-6 route show")
            .contains("unreachable fd12:3456:789a:1::/64")
    );
}
