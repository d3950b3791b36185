//! The data plane of this process: real namespaces, real cables, real sockets over it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, SystemTime};

use slapbox_overlay::links::{Lack, Plane, look};
use slapbox_overlay::userspace::{Drops, Reason};

use crate::lab::Namespace;
use crate::member::{PORT, desired, link_address, public_key, settled, userspace_plane};
use crate::node::eventually;

/// A node with a plane of its own.
struct Node {
    index: u16,
    namespace: Namespace,
    plane: Plane,
}

impl Node {
    fn open(index: u16) -> Option<Self> {
        let namespace = Namespace::open()?;
        let plane = userspace_plane(&namespace);
        Some(Self {
            index,
            namespace,
            plane,
        })
    }

    /// Lays a cable with an address of IPv4 at each end.
    fn connect(&self, other: &Self) {
        let (here, there) = (
            format!("cable{}", other.index),
            format!("cable{}", self.index),
        );
        self.namespace.connect(&here, &other.namespace, &there);
        for (node, cable, peer) in [(self, here, other), (other, there, self)] {
            node.namespace.ip(&format!(
                "address add 192.0.2.{}/32 peer 192.0.2.{} dev {cable}",
                node.index, peer.index
            ));
        }
    }

    fn settle(&self, peers: &[u16], endpoint: Option<u16>) {
        let endpoint = endpoint.map(|index| SocketAddr::from(([192, 0, 2, index as u8], PORT)));
        settled(
            &self.namespace,
            &self.plane,
            &desired(self.index, peers, endpoint),
        );
    }

    fn drops(&self) -> Drops {
        let Plane::Userspace(plane) = self.plane.clone() else {
            panic!("it has a plane of its own");
        };
        self.namespace
            .run_async(async move || plane.drops().await.unwrap())
    }

    /// Routes another node's prefix through the tunnel to it, as Babel would.
    fn route(&self, to: u16) {
        let namespace = &self.namespace;
        namespace.ip(&format!(
            "-6 route add fd12:3456:789a:{to:x}::/64 via fe80::{to:x} dev slt{to:x}"
        ));
    }

    fn pings(&self, address: Ipv6Addr) -> Result<String, String> {
        self.namespace.attempt(&format!("ping -c 1 -W 1 {address}"))
    }
}

/// The address of a node beyond its tunnels.
fn address(index: u16) -> Ipv6Addr {
    format!("fd12:3456:789a:{index:x}::1").parse().unwrap()
}

/// A hub, and a node that calls it.
fn pair() -> Option<(Node, Node)> {
    let (hub, node) = (Node::open(1)?, Node::open(2)?);
    hub.connect(&node);
    hub.settle(&[2], None);
    node.settle(&[1], Some(1));
    hub.route(2);
    node.route(1);
    Some((hub, node))
}

/// Bytes that tell where they are.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    std::iter::repeat_with(step)
        .flat_map(u64::to_le_bytes)
        .take(length)
        .collect()
}

/// Sends bytes by TCP from one to the other, and says how many arrived as they were sent.
fn transferred(from: &Node, to: &Node, to_address: Ipv6Addr, length: usize) -> usize {
    let (ready, started) = std::sync::mpsc::channel();
    let receiver = to.namespace.run(move || {
        std::thread::spawn(move || {
            let listener = TcpListener::bind((to_address, 7000)).unwrap();
            ready.send(()).unwrap();
            let mut arrived = Vec::new();
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_to_end(&mut arrived).unwrap();
            arrived
        })
    });
    started.recv().unwrap();
    from.namespace.run(move || {
        let mut stream = TcpStream::connect((to_address, 7000)).unwrap();
        stream.write_all(&pattern(length)).unwrap();
    });
    let arrived = receiver.join().unwrap();
    let same = arrived
        .iter()
        .zip(pattern(length))
        .take_while(|(one, other)| **one == *other);
    same.count()
}

#[test]
fn datagrams_and_large_transfers_arrive_whole_over_links_and_tunnels() {
    let Some((hub, node)) = pair() else { return };
    eventually("the link network", || node.pings(link_address(1)));
    eventually("the tunnel", || node.pings(address(1)));
    const LENGTH: usize = 8 << 20;
    assert_eq!(transferred(&node, &hub, address(1), LENGTH), LENGTH);
    assert_eq!(transferred(&hub, &node, address(2), LENGTH), LENGTH);
    assert_eq!(transferred(&node, &hub, link_address(1), LENGTH), LENGTH);

    let (here, there) = (link_address(1), link_address(2));
    let echo = hub
        .namespace
        .run(move || UdpSocket::bind((here, 7001)).unwrap());
    let asker = node
        .namespace
        .run(move || UdpSocket::bind((there, 7002)).unwrap());
    for socket in [&echo, &asker] {
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
    }
    let mut buffer = [0; 2000];
    for length in [0, 1, 17, 500, 1372] {
        asker.send_to(&pattern(length), (here, 7001)).unwrap();
        let (count, from) = echo.recv_from(&mut buffer).unwrap();
        assert_eq!(from, SocketAddr::from((there, 7002)));
        assert_eq!(buffer[..count], pattern(length));
    }
    let drops = hub.drops();
    for reason in [
        Reason::Malformed,
        Reason::Forged,
        Reason::ForeignSource,
        Reason::NoTunnel,
        Reason::TooLarge,
    ] {
        assert_eq!(drops.of(reason), 0, "{drops:?}");
    }
}

#[test]
fn a_packet_of_the_largest_size_passes_and_a_larger_one_is_told_off() {
    let Some((_hub, node)) = pair() else { return };
    eventually("the tunnel", || node.pings(address(1)));
    // 1380 bytes less the headers of IPv6 and of ICMP.
    node.namespace
        .command("ping -c 1 -W 2 -M do -s 1332 fd12:3456:789a:1::1");
    assert!(
        node.namespace
            .attempt("ping -c 1 -W 1 -M do -s 1333 fd12:3456:789a:1::1")
            .is_err()
    );
}

#[test]
fn a_way_that_is_too_narrow_for_a_datagram_takes_it_in_pieces() {
    let Some((hub, node)) = pair() else { return };
    eventually("the tunnel", || node.pings(address(1)));
    hub.namespace.ip("link set cable2 mtu 1300");
    node.namespace.ip("link set cable1 mtu 1300");
    node.namespace
        .command("ping -c 1 -W 2 -M do -s 1332 fd12:3456:789a:1::1");
    const LENGTH: usize = 2 << 20;
    assert_eq!(transferred(&node, &hub, address(1), LENGTH), LENGTH);
    assert_eq!(transferred(&hub, &node, address(2), LENGTH), LENGTH);
}

#[test]
fn a_peer_is_called_over_ipv6() {
    let (Some(hub), Some(node)) = (Node::open(1), Node::open(2)) else {
        return;
    };
    hub.namespace.connect("cable2", &node.namespace, "cable1");
    hub.namespace
        .ip("-6 address add 2001:db8::1/64 dev cable2 nodad");
    node.namespace
        .ip("-6 address add 2001:db8::2/64 dev cable1 nodad");
    hub.settle(&[2], None);
    let at_hub = "[2001:db8::1]:6326".parse().unwrap();
    let wanted = desired(2, &[1], Some(at_hub));
    settled(&node.namespace, &node.plane, &wanted);
    hub.route(2);
    node.route(1);
    eventually("the tunnel", || node.pings(address(1)));
    const LENGTH: usize = 2 << 20;
    assert_eq!(transferred(&node, &hub, address(1), LENGTH), LENGTH);
    node.namespace.ip("link set cable1 mtu 1300");
    hub.namespace.ip("link set cable2 mtu 1300");
    assert_eq!(transferred(&node, &hub, address(1), LENGTH), LENGTH);
    let seen = settled(&node.namespace, &node.plane, &wanted);
    let peer = &seen.wireguard.unwrap().peers[&public_key(1)];
    assert_eq!(peer.endpoint, Some(at_hub));
    assert!(peer.traffic.0 > 0 && peer.traffic.1 > 2 << 20, "{peer:?}");
}

#[test]
fn who_is_no_peer_is_refused() {
    let Some((hub, _node)) = pair() else { return };
    let stranger = Node::open(3).unwrap();
    hub.connect(&stranger);
    stranger.settle(&[1], Some(1));
    assert!(stranger.pings(link_address(1)).is_err());
    eventually("the hub counts who it does not know", || {
        match hub.drops() {
            drops if drops.of(Reason::Stranger) > 0 => Ok(String::new()),
            drops => Err(format!("{drops:?}")),
        }
    });
}

#[test]
fn a_peer_cannot_take_the_address_of_another() {
    let Some((hub, node)) = pair() else { return };
    eventually("the link network", || node.pings(link_address(1)));
    node.namespace.ip(&format!(
        "-6 address add {}/128 dev slapwg0 nodad",
        link_address(3)
    ));
    let from_another = format!("ping -c 1 -W 1 -I {} {}", link_address(3), link_address(1));
    assert!(node.namespace.attempt(&from_another).is_err());
    assert!(
        hub.drops().of(Reason::ForeignSource) > 0,
        "{:?}",
        hub.drops()
    );
    node.namespace.ip(&format!(
        "-6 address delete {}/128 dev slapwg0",
        link_address(3)
    ));
    node.pings(link_address(1)).unwrap();
}

#[test]
fn a_peer_is_followed_to_another_address() {
    let Some((hub, node)) = pair() else { return };
    eventually("the tunnel", || node.pings(address(1)));
    hub.namespace.ip("route add 192.0.2.22/32 dev cable2");
    node.namespace
        .ip("address delete 192.0.2.2/32 peer 192.0.2.1 dev cable1");
    node.namespace
        .ip("address add 192.0.2.22/32 peer 192.0.2.1 dev cable1");
    eventually("the hub answers at the new address", || {
        node.pings(address(1))
    });
    let (plane, wanted) = (&hub.plane, desired(1, &[2], None));
    let seen = settled(&hub.namespace, plane, &wanted).wireguard.unwrap();
    let endpoint = seen.peers[&public_key(2)].endpoint;
    assert_eq!(endpoint, Some(SocketAddr::from(([192, 0, 2, 22], PORT))));
    assert!(seen.peers[&public_key(2)].is_alive());
}

#[test]
fn a_peer_that_was_removed_is_deaf_and_mute_at_once() {
    let Some((hub, node)) = pair() else { return };
    eventually("the tunnel", || node.pings(address(1)));
    hub.settle(&[], None);
    assert!(node.pings(address(1)).is_err());
    assert!(node.pings(link_address(1)).is_err());
    assert!(hub.drops().of(Reason::Stranger) > 0, "{:?}", hub.drops());
}

#[test]
fn noise_at_the_port_is_dropped_and_counted_and_stops_nobody() {
    let Some((hub, node)) = pair() else { return };
    eventually("the tunnel", || node.pings(address(1)));
    let noise = node.namespace.run(|| UdpSocket::bind("0.0.0.0:0").unwrap());
    for length in 0..1500 {
        let mut datagram = pattern(length);
        // Half of it begins as WireGuard's messages do.
        if let (true, Some(kind)) = (length % 2 == 0, datagram.first_chunk_mut::<4>()) {
            *kind = [1 + (length / 2 % 4) as u8, 0, 0, 0];
        }
        noise.send_to(&datagram, ("192.0.2.1", PORT)).unwrap();
    }
    eventually("noise is counted", || match hub.drops() {
        drops if drops.of(Reason::Malformed) >= 700 && drops.of(Reason::Stranger) >= 100 => {
            Ok(String::new())
        }
        drops => Err(format!("{drops:?}")),
    });
    node.pings(address(1)).unwrap();
}

#[test]
fn interfaces_end_with_the_plane_and_are_made_anew_by_the_next() {
    let Some((hub, mut node)) = pair() else {
        return;
    };
    eventually("the tunnel", || node.pings(address(1)));
    node.plane = userspace_plane(&node.namespace);
    let links = node.namespace.ip("-brief link show");
    assert!(
        !links.contains("slapwg0") && !links.contains("slt1"),
        "{links}"
    );
    node.settle(&[1], Some(1));
    node.route(1);
    eventually("the tunnel again", || node.pings(address(1)));
    drop(hub);
}

#[test]
fn what_others_made_with_our_names_is_replaced() {
    let Some(node) = Node::open(1) else { return };
    node.namespace.ip("tuntap add slapwg0 mode tun");
    node.namespace.ip("link add slt2 type veth peer name other");
    node.settle(&[2], None);
    // Somebody takes a name away while the plane runs.
    node.namespace.ip("link delete slt2");
    node.namespace.ip("tuntap add slt2 mode tun");
    node.settle(&[2], None);
    let kind = node.namespace.ip("-details link show slt2");
    assert!(kind.contains("persist off"), "{kind}");
}

#[test]
fn the_kernel_takes_our_interfaces_for_those_of_somebody_else() {
    let Some(node) = Node::open(1) else { return };
    node.settle(&[2], None);
    let seen = node
        .namespace
        .run_async(async || look(&Plane::Kernel, SystemTime::now()).await.unwrap());
    let names: Vec<_> = seen.impostors.iter().map(String::as_str).collect();
    assert_eq!(names, ["slapwg0", "slt2"]);
    assert!(seen.wireguard.is_none() && seen.tunnels.is_empty());
}

#[test]
fn an_mtu_that_no_buffer_holds_is_refused_in_words() {
    let Some(node) = Node::open(1) else { return };
    let mut wanted = desired(1, &[2], None);
    wanted.tunnels.get_mut("slt2").unwrap().mtu = 9000;
    let outcome = crate::member::reconciled(&node.namespace, &node.plane, &wanted);
    let failure = &outcome.failures[0];
    let cause = std::error::Error::source(failure)
        .and_then(std::error::Error::source)
        .unwrap();
    assert_eq!(
        failure.to_string(),
        "failed to make tunnel slt2 to fd12:3456:789a:ffff::2"
    );
    assert!(
        cause.to_string().contains("9000 is more than the 1900"),
        "{cause}"
    );
}

#[test]
fn the_plane_is_chosen_by_what_the_kernel_can() {
    let Some(namespace) = Namespace::open() else {
        return;
    };
    let (plane, lack) = namespace.run_async(async || Plane::choose().await.unwrap());
    let makes = |kind: &str| {
        let made = namespace
            .attempt(&format!("ip link add probe0 type {kind}"))
            .is_ok();
        let _ = namespace.attempt("ip link delete probe0");
        made
    };
    let expected = match (makes("wireguard"), makes("ip6tnl local ::1 remote ::1")) {
        (true, true) => None,
        (false, _) => Some(Lack::WireGuard),
        (true, false) => Some(Lack::Tunnels),
    };
    assert_eq!(lack, expected);
    assert_eq!(matches!(plane, Plane::Kernel), lack.is_none());
    let links = namespace.ip("-brief link show");
    assert!(!links.contains("slt0"), "{links}");
}
