//! A peer that is driven by hand talks to a switch over a real socket; nothing here needs an interface.

use std::net::UdpSocket;
use std::time::Duration;

use gotatun::noise::{Tunn, TunnResult};
use gotatun::packet::Packet;
use proptest::prelude::*;

use super::outgoing::AWAITED;
use super::*;
use crate::keys::PublicKey;
use crate::userspace::device::BUFFER;
use crate::userspace::drops::Reason;
use crate::userspace::ecn::Ecn;
use crate::userspace::outlet::Way;
use crate::userspace::packet;

const OWN: Ipv6Addr = Ipv6Addr::new(0xfd12, 0, 0, 0xffff, 0, 0, 0, 1);
const PEERS: Ipv6Addr = Ipv6Addr::new(0xfd12, 0, 0, 0xffff, 0, 0, 0, 2);
const OTHERS: Ipv6Addr = Ipv6Addr::new(0xfd12, 0, 0, 0xffff, 0, 0, 0, 3);

/// A switch with one peer, and that peer.
struct Pair {
    switch: Switch,
    peer: Tunn,
    socket: UdpSocket,
}

fn public(key: &PrivateKey) -> x25519::PublicKey {
    x25519::PublicKey::from(&x25519::StaticSecret::from(*key.reveal()))
}

/// A packet of UDP from an address, with nothing in it.
fn packet_from(source: Ipv6Addr) -> Packet {
    let mut packet = packet::header(source, OWN);
    packet[6] = 17;
    Packet::copy_from(&packet[..])
}

impl Pair {
    /// Makes both, strangers yet.
    fn new() -> Self {
        let (own, peers) = (PrivateKey::new([1; 32]), PrivateKey::new([2; 32]));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let mut switch = Switch::new();
        switch.set_key(own.clone());
        switch.set_outlet(Outlet::open(0).unwrap());
        switch
            .set_peer(PublicKey(public(&peers).to_bytes()), PEERS.into(), 0)
            .unwrap();
        let secret = x25519::StaticSecret::from(*peers.reveal());
        let limiter = Gate::new(&public(&peers)).limiter();
        let peer = Tunn::new(
            secret,
            public(&own),
            None,
            None,
            IndexTable::from_os_rng(),
            limiter,
        );
        Self {
            switch,
            peer,
            socket,
        }
    }

    /// Makes both, with a session.
    fn connected() -> Self {
        let mut pair = Self::new();
        let hello: Packet = pair.peer.format_handshake_initiation(false).unwrap().into();
        pair.give(&hello);
        let answer = pair.answer().try_into_wg().unwrap();
        let TunnResult::WriteToNetwork(sign) = pair.peer.handle_incoming_packet(answer) else {
            panic!("the handshake is not complete");
        };
        pair.give(&Packet::from(sign));
        assert_eq!(pair.switch.drops(), Drops::default());
        pair
    }

    fn way(&self) -> Way {
        Way {
            endpoint: self.socket.local_addr().unwrap(),
            source: None,
        }
    }

    fn give(&mut self, datagram: &[u8]) {
        let way = self.way();
        self.switch
            .receive(datagram, datagram.len(), way, Ecn::NotCapable);
        self.switch.settle();
    }

    /// Returns what the switch sent to the peer.
    fn answer(&self) -> Packet {
        let mut buffer = [0; BUFFER];
        let (length, _) = self.socket.recv_from(&mut buffer).unwrap();
        Packet::copy_from(&buffer[..length])
    }

    fn sealed(&mut self, packet: Packet) -> Packet {
        self.peer.encapsulate_with_session(packet).unwrap().into()
    }

    /// Returns why a datagram is dropped.
    fn reason(&mut self, datagram: &[u8]) -> Reason {
        let before = self.switch.drops();
        self.give(datagram);
        let after = self.switch.drops();
        let all = [
            Reason::Malformed,
            Reason::TooLarge,
            Reason::Stranger,
            Reason::Forged,
            Reason::ForeignSource,
            Reason::NoTunnel,
            Reason::NotTaken,
        ];
        let mut new = all
            .into_iter()
            .filter(|reason| after.of(*reason) > before.of(*reason));
        let reason = new.next().expect("it is dropped");
        assert_eq!(new.next(), None);
        reason
    }
}

#[tokio::test]
async fn what_a_peer_may_send_gets_to_the_interface_once() {
    let mut pair = Pair::connected();
    let good = pair.sealed(packet_from(PEERS));
    // There is no interface: it gets as far as that.
    assert_eq!(pair.reason(&good), Reason::NotTaken);
    assert_eq!(pair.reason(&good), Reason::Forged, "it was sent again");
}

#[tokio::test]
async fn what_a_peer_may_not_send_is_dropped_for_its_reason() {
    let mut pair = Pair::connected();
    let foreign = pair.sealed(packet_from(OTHERS));
    assert_eq!(pair.reason(&foreign), Reason::ForeignSource);
    let mut inner = [[0; HEADER], packet::header(OTHERS, OWN)].concat();
    packet::wrap(&mut inner, &packet::header(PEERS, OWN)).unwrap();
    let tunnelled = pair.sealed(Packet::copy_from(&inner[..]));
    assert_eq!(pair.reason(&tunnelled), Reason::NoTunnel);
    let no_ipv6 = pair.sealed(Packet::copy_from(&[0x45; 60][..]));
    assert_eq!(pair.reason(&no_ipv6), Reason::Malformed);
    let large = pair.sealed(Packet::copy_from(&[0; BUFFER][..]));
    assert_eq!(pair.reason(&large), Reason::TooLarge);
}

#[tokio::test]
async fn what_nobody_of_ours_sent_is_dropped_for_its_reason() {
    let mut pair = Pair::connected();
    let good = pair.sealed(packet_from(PEERS));
    let mut forged = Packet::copy_from(&good[..]);
    forged[40] ^= 1;
    assert_eq!(pair.reason(&forged), Reason::Forged);
    let mut lost = Packet::copy_from(&good[..]);
    lost[4] ^= 1;
    assert_eq!(pair.reason(&lost), Reason::Stranger);
    assert_eq!(pair.reason(b"hello"), Reason::Malformed);
    assert_eq!(pair.reason(b""), Reason::Malformed);

    let key = PublicKey(public(&PrivateKey::new([2; 32])).to_bytes());
    pair.switch.remove_peer(&key);
    assert_eq!(
        pair.reason(&good),
        Reason::Stranger,
        "who was removed is heard no more"
    );
    let hello: Packet = pair.peer.format_handshake_initiation(true).unwrap().into();
    assert_eq!(pair.reason(&hello), Reason::Stranger);
}

#[tokio::test]
async fn a_handshake_that_was_heard_before_is_not_answered() {
    let mut pair = Pair::new();
    let hello: Packet = pair.peer.format_handshake_initiation(false).unwrap().into();
    pair.give(&hello);
    pair.answer();
    assert_eq!(pair.reason(&hello), Reason::Forged);
}

#[tokio::test]
async fn packets_wait_for_a_session_in_small_number() {
    let mut pair = Pair::new();
    let (way, key) = (pair.way(), public(&PrivateKey::new([2; 32])));
    pair.switch
        .set_endpoint(&PublicKey(key.to_bytes()), way.endpoint);
    for number in 0..2 * AWAITED {
        let mut buffer = pair.switch.pool.get();
        let mut packet = packet::header(OWN, PEERS);
        packet[6] = u8::try_from(number).unwrap();
        buffer[..HEADER].copy_from_slice(&packet);
        let waits = pair.switch.leave(buffer, HEADER, Origin::Links);
        assert_eq!(waits.is_ok(), number < AWAITED, "{number}");
    }
    pair.switch.settle();
    let hello = pair.answer().try_into_wg().unwrap();
    let TunnResult::WriteToNetwork(answer) = pair.peer.handle_incoming_packet(hello) else {
        panic!("the peer does not answer");
    };
    pair.give(&Packet::from(answer));
    let mut arrived = Vec::new();
    // The first is a sign that the session is there.
    for _ in 0..=AWAITED {
        let data = pair.answer().try_into_wg().unwrap();
        let TunnResult::WriteToTunnel(packet) = pair.peer.handle_incoming_packet(data) else {
            panic!("the peer cannot read it");
        };
        arrived.extend(packet.get(6).map(|number| usize::from(*number)));
    }
    assert_eq!(arrived, (0..AWAITED).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_peer_that_must_be_kept_awake_is_called_without_a_packet() {
    let mut pair = Pair::new();
    let key = PublicKey(public(&PrivateKey::new([2; 32])).to_bytes());
    pair.switch.set_peer(key, PEERS.into(), 25).unwrap();
    pair.switch.set_endpoint(&key, pair.way().endpoint);
    pair.switch.tick();
    assert_eq!(
        pair.answer().len(),
        148,
        "a handshake begins without a packet"
    );
}

proptest! {
    #[test]
    fn arbitrary_datagrams_do_no_harm(kind in 0u8..6, bytes in prop::collection::vec(any::<u8>(), 0..200), size in 0usize..80) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let _guard = runtime.enter();
        let mut pair = Pair::new();
        let datagrams = [[kind, 0, 0, 0].as_slice(), &bytes].concat();
        let way = pair.way();
        let count = pair.switch.receive(&datagrams, size, way, Ecn::Congested);
        pair.switch.settle();
        prop_assert_eq!(count, datagrams.len().div_ceil(size.max(1)));
    }
}
