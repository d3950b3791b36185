//! What a member of the network shall have, as re6st decides it, and how to give it that.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::SystemTime;

use ipnet::Ipv6Net;
use slapbox_overlay::keys::{PrivateKey, PublicKey};
use slapbox_overlay::links::{
    Desired, LOOPBACK, Observed, Outcome, Peer, Plane, Route, Tunnel, WIREGUARD, WireGuard,
    reconcile, tunnel_name,
};
use slapbox_overlay::userspace;

use crate::lab::Namespace;

pub(crate) const PORT: u16 = 6326;

fn key(index: u16) -> PrivateKey {
    PrivateKey::new([index as u8; 32])
}

/// A node's key as `wg` reads it.
pub(crate) fn private_key_text(index: u16) -> String {
    key(index).reveal_text()
}

/// The public keys that belong to `key`.
pub(crate) fn public_key(index: u16) -> PublicKey {
    let text = match index {
        1 => "pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk=",
        2 => "zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk=",
        3 => "Xf7dO2vUf2+ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI=",
        other => panic!("node {other} has no key"),
    };
    text.parse().unwrap()
}

/// The address of a node in the link network.
pub(crate) fn link_address(index: u16) -> Ipv6Addr {
    format!("fd12:3456:789a:ffff::{index:x}").parse().unwrap()
}

/// What a member with these peers shall have; the first peer is at an address if it is told.
pub(crate) fn desired(index: u16, peers: &[u16], endpoint: Option<SocketAddr>) -> Desired {
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
            moves: false,
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

/// Reconciles once.
pub(crate) fn reconciled(namespace: &Namespace, plane: &Plane, desired: &Desired) -> Outcome {
    let (plane, desired) = (plane.clone(), desired.clone());
    namespace.run_async(async move || {
        reconcile(&plane, &desired, SystemTime::now())
            .await
            .unwrap()
    })
}

/// Reconciles twice: the first time without a failure, the second time without a change.
pub(crate) fn settled(namespace: &Namespace, plane: &Plane, desired: &Desired) -> Observed {
    let first = reconciled(namespace, plane, desired);
    assert!(first.failures.is_empty(), "{:#?}", first.failures);
    let second = reconciled(namespace, plane, desired);
    assert_eq!(
        (second.changed, second.failures.len()),
        (0, 0),
        "{second:#?}"
    );
    second.observed
}

/// Starts a plane of this process in a namespace.
pub(crate) fn userspace_plane(namespace: &Namespace) -> Plane {
    Plane::Userspace(namespace.run(|| userspace::Plane::start().unwrap()))
}
