//! WireGuard and tunnels: a hub and two nodes, routed by babeld, in the kernel and in processes. Kernels without them are
//! told so.

use std::net::SocketAddr;
use std::time::SystemTime;

use slapbox_overlay::links::{LOOPBACK, Plane, look};

use crate::lab::{Namespace, skip};
use crate::member::{PORT, desired, public_key, reconciled, settled, userspace_plane};
use crate::node::{Node, eventually};

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

/// Returns the kernel as a plane, if it can be one.
fn kernel(namespace: &Namespace) -> Option<Plane> {
    if kernel_has_links(namespace) {
        return Some(Plane::Kernel);
    }
    skip("this kernel has no WireGuard or no ip6tnl");
    None
}

/// A plane of this process, which any kernel can have.
#[expect(clippy::unnecessary_wraps, reason = "another plane may be missing")]
fn own(namespace: &Namespace) -> Option<Plane> {
    Some(userspace_plane(namespace))
}

/// A hub and two nodes that reach the hub over cables of their own, each with its plane.
fn star(plane: [fn(&Namespace) -> Option<Plane>; 3]) -> Option<([Node; 3], [Plane; 3])> {
    let nodes = [Node::open(1)?, Node::open(2)?, Node::open(3)?];
    let [hub, first, second] = &nodes;
    let planes = [
        plane[0](&hub.namespace)?,
        plane[1](&first.namespace)?,
        plane[2](&second.namespace)?,
    ];
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
    Some((nodes, planes))
}

#[test]
fn two_nodes_reach_each_other_through_the_hub() {
    reach_each_other([kernel; 3]);
}

#[test]
fn two_nodes_with_planes_of_their_own_reach_each_other_through_the_hub() {
    reach_each_other([own; 3]);
}

#[test]
fn planes_of_both_kinds_understand_each_other() {
    reach_each_other([kernel, own, kernel]);
    reach_each_other([own, kernel, own]);
}

fn reach_each_other(plane: [fn(&Namespace) -> Option<Plane>; 3]) {
    let Some(([mut hub, mut first, mut second], planes)) = star(plane) else {
        return;
    };
    let at_hub = Some(SocketAddr::from(([192, 0, 2, 1], PORT)));
    for (node, plane, wanted) in [
        (&mut hub, &planes[0], desired(1, &[2, 3], None)),
        (&mut first, &planes[1], desired(2, &[1], at_hub)),
        (&mut second, &planes[2], desired(3, &[1], at_hub)),
    ] {
        settled(&node.namespace, plane, &wanted);
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

    let seen = settled(&hub.namespace, &planes[0], &desired(1, &[2, 3], None));
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

    settled(&hub.namespace, &planes[0], &desired(1, &[2], None));
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
    let Some(namespace) = Namespace::open() else {
        return;
    };
    let Some(plane) = kernel(&namespace) else {
        return;
    };
    namespace.ip("link add wg7 type wireguard");
    namespace.ip("link add foreign type ip6tnl local 2001:db8::1 remote 2001:db8::2");
    repairs(&namespace, &plane);
}

#[test]
fn links_of_others_and_links_of_our_own_plane_that_somebody_broke() {
    let Some(namespace) = Namespace::open() else {
        return;
    };
    namespace.ip("tuntap add wg7 mode tun");
    namespace.ip("link add foreign type veth peer name other");
    let plane = userspace_plane(&namespace);
    repairs(&namespace, &plane);
}

fn repairs(namespace: &Namespace, plane: &Plane) {
    let wanted = desired(1, &[2, 3], None);
    settled(namespace, plane, &wanted);

    namespace.ip("link delete slt3");
    namespace.ip("link set slt2 mtu 1300");
    namespace.ip("address delete fd12:3456:789a:1::1/128 dev lo");
    namespace.ip("-6 route delete unreachable fd12:3456:789a::/48");
    namespace.ip("link set slapwg0 down");
    settled(namespace, plane, &wanted);
    namespace.ip("link delete slapwg0");
    settled(namespace, plane, &wanted);

    let nobody = desired(1, &[], None);
    let seen = settled(namespace, plane, &nobody);
    assert!(seen.tunnels.is_empty() && seen.wireguard.unwrap().peers.is_empty());
    let links = namespace.ip("-brief link show");
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
    let outcome = reconciled(&namespace, &Plane::Kernel, &desired(1, &[2], None));
    assert_eq!(
        outcome.failures[0].to_string(),
        "failed to make WireGuard interface slapwg0 with MTU 1420"
    );
    let seen = namespace.run_async(async || look(&Plane::Kernel, SystemTime::now()).await.unwrap());
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
