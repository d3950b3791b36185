//! The messages survive their own encoding, and what the kernel tells is read. No kernel is asked.

use netlink_packet_core::{Emitable as _, ParseableParametrized as _};
use netlink_packet_generic::GenlHeader;

use super::*;

/// Encodes attributes as they are sent, and decodes them as they are received.
fn over_the_wire(attributes: Vec<WireguardAttribute>) -> Vec<WireguardAttribute> {
    let message = WireguardMessage {
        cmd: WireguardCmd::SetDevice,
        attributes,
    };
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    let header = GenlHeader {
        cmd: WireguardCmd::SetDevice.into(),
        version: 1,
    };
    WireguardMessage::parse_with_param(&bytes, header)
        .unwrap()
        .attributes
}

fn read(attributes: Vec<WireguardAttribute>, now: u64) -> ObservedWireGuard {
    let mut found = ObservedWireGuard::default();
    read_device(
        &mut found,
        over_the_wire(attributes),
        UNIX_EPOCH + Duration::from_secs(now),
    );
    found
}

#[test]
fn what_is_set_is_what_is_read() {
    let key = PublicKey([9; 32]);
    let private_key = PrivateKey::new([3; 32]);
    let allowed = "fd12:3456:789a::9:0:0/96".parse().unwrap();
    let endpoint = "[2001:db8::1]:6326".parse().unwrap();
    let changes = [
        Change::PrivateKey(private_key.clone()),
        Change::Port(6326),
        Change::Peer {
            key,
            allowed,
            keepalive: 25,
        },
        Change::Endpoint { key, endpoint },
    ];
    let found = read(changes.into_iter().map(attribute_for).collect(), 0);
    assert_eq!(found.private_key, Some(private_key));
    assert_eq!(found.port, 6326);
    let peer = &found.peers[&key];
    assert_eq!(peer.allowed, [allowed].into());
    assert_eq!(peer.endpoint, Some(endpoint));
    assert_eq!(peer.keepalive, 25);
    assert_eq!(peer.handshake_age, None);
}

#[test]
fn handshakes_have_an_age() {
    let peer = |seconds| {
        let time = WireguardTimeSpec {
            seconds,
            nano_seconds: 0,
        };
        let attributes = vec![
            WireguardPeerAttribute::PublicKey([9; 32]),
            WireguardPeerAttribute::LastHandshake(time),
        ];
        vec![WireguardAttribute::Peers(vec![WireguardPeer(attributes)])]
    };
    let age = |seconds, now| read(peer(seconds), now).peers[&PublicKey([9; 32])].handshake_age;
    assert_eq!(age(1000, 1003), Some(Duration::from_secs(3)));
    assert_eq!(age(0, 1003), None, "zero means never");
    assert_eq!(age(1000, 10), Some(Duration::ZERO), "the clock went back");
}

#[test]
fn an_endpoint_never_brings_a_removed_peer_back() {
    let change = Change::Endpoint {
        key: PublicKey([9; 32]),
        endpoint: "192.0.2.1:1".parse().unwrap(),
    };
    let WireguardAttribute::Peers(peers) = attribute_for(change) else {
        panic!("a change of a peer");
    };
    assert!(peers[0].contains(&WireguardPeerAttribute::Flags(
        WireguardPeerFlags::UpdateOnly
    )));
}
