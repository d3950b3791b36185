//! Datagrams through the registry, asked for as the master's proxy asks.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UdpSocket;

use super::*;
use crate::carrier::PROTOCOL;

/// A registry with a member on its machine and one elsewhere, and the socket in the place of the former's WireGuard.
async fn network_of_two() -> (Served, UdpSocket) {
    let registry = registry(NETWORK).await;
    let wireguard = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut first = request(1);
    first["port"] = json!(wireguard.local_addr().unwrap().port());
    registry.join("COMP-1", &first).await;
    registry.join("COMP-2", &request(2)).await;
    (registry, wireguard)
}

impl Served {
    async fn ask(&self, computer: &str, protocol: &str) -> reqwest::Response {
        let request = self.http().get("http://registry/v1/re6st/carrier");
        let request = request
            .header(COMPUTER_HEADER, computer)
            .header("connection", "upgrade")
            .header("upgrade", protocol);
        request.send().await.unwrap()
    }

    async fn carrier(&self, computer: &str) -> reqwest::Upgraded {
        let answer = self.ask(computer, PROTOCOL).await;
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        answer.upgrade().await.unwrap()
    }
}

fn frame(byte: u8) -> Vec<u8> {
    [&[0, 32][..], &[byte; 32]].concat()
}

/// Sends one datagram and its answer; returns where it came from.
async fn there_and_back(
    carrier: &mut reqwest::Upgraded,
    wireguard: &UdpSocket,
) -> std::net::SocketAddr {
    carrier.write_all(&frame(1)).await.unwrap();
    let mut datagram = [0; 64];
    let (length, from) = wireguard.recv_from(&mut datagram).await.unwrap();
    assert_eq!(datagram[..length], [1; 32]);
    wireguard.send_to(&[2; 32], from).await.unwrap();
    let mut answer = [0; 34];
    carrier.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer.to_vec(), frame(2));
    from
}

/// Waits until the other end has closed it.
async fn ended(mut carrier: reqwest::Upgraded) {
    let mut rest = [0; 1];
    let read = tokio::time::timeout(Duration::from_secs(20), carrier.read(&mut rest)).await;
    assert_eq!(read.expect("it ends in time").unwrap_or(0), 0);
}

#[tokio::test]
async fn a_members_datagrams_reach_the_registrys_wireguard_and_come_back() {
    let (registry, wireguard) = network_of_two().await;
    let mut carrier = registry.carrier("COMP-2").await;
    let first = there_and_back(&mut carrier, &wireguard).await;
    registry.join("COMP-3", &request(3)).await;
    let mut other = registry.carrier("COMP-3").await;
    let second = there_and_back(&mut other, &wireguard).await;
    assert_ne!(first, second, "each member has a socket of its own");
    there_and_back(&mut carrier, &wireguard).await;
}

#[tokio::test]
async fn the_newer_carrier_of_a_computer_takes_the_place_of_the_older() {
    let (registry, wireguard) = network_of_two().await;
    let mut older = registry.carrier("COMP-2").await;
    there_and_back(&mut older, &wireguard).await;
    let mut newer = registry.carrier("COMP-2").await;
    ended(older).await;
    there_and_back(&mut newer, &wireguard).await;
}

#[tokio::test]
async fn who_is_released_is_cut() {
    let (registry, wireguard) = network_of_two().await;
    let mut carrier = registry.carrier("COMP-2").await;
    there_and_back(&mut carrier, &wireguard).await;
    let release = registry.http().post("http://registry/local/release/COMP-2");
    assert!(release.send().await.unwrap().status().is_success());
    ended(carrier).await;
    let again = registry.ask("COMP-2", PROTOCOL).await;
    assert_eq!(again.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn garbage_ends_a_carrier_and_no_other() {
    let (registry, wireguard) = network_of_two().await;
    registry.join("COMP-3", &request(3)).await;
    let mut good = registry.carrier("COMP-3").await;
    for garbage in [&[0, 0][..], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 4]] {
        let mut bad = registry.carrier("COMP-2").await;
        bad.write_all(garbage).await.unwrap();
        ended(bad).await;
        there_and_back(&mut good, &wireguard).await;
    }
}

#[tokio::test]
async fn who_may_not_have_a_carrier_is_told_why() {
    let (registry, _wireguard) = network_of_two().await;
    let lonely = super::registry(NETWORK).await;
    lonely.join("COMP-2", &request(2)).await;
    let upgrade = "this needs `Connection: Upgrade` and `Upgrade: slapbox-datagrams`";
    let itself = "the registry is on this computer itself, whose datagrams need no carrier";
    let absent = "the computer that the registry is on has not joined the network";
    for (asked, computer, protocol, status, code, words) in [
        (
            &registry,
            "COMP-2",
            "websocket",
            400,
            "bad_request",
            upgrade,
        ),
        (&registry, "COMP-1", PROTOCOL, 400, "bad_request", itself),
        (
            &registry,
            "COMP-9",
            PROTOCOL,
            404,
            "not_a_member",
            "the computer is not a member",
        ),
        (
            &registry,
            "",
            PROTOCOL,
            401,
            "unauthorized",
            "the caller is not known",
        ),
        (&lonely, "COMP-2", PROTOCOL, 503, "no_host", absent),
    ] {
        let answer = asked.ask(computer, protocol).await;
        assert_eq!(answer.status(), status);
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer, json!({"error": code, "message": words}));
    }
}

#[tokio::test]
async fn no_more_are_carried_than_may_be() {
    let (registry, wireguard) = network_of_two().await;
    let mut carriers = Vec::new();
    for number in 2..=65 {
        let name = format!("COMP-{number}");
        registry.join(&name, &request(number)).await;
        carriers.push(registry.carrier(&name).await);
    }
    registry.join("COMP-66", &request(66)).await;
    let answer = registry.ask("COMP-66", PROTOCOL).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let answer: Value = answer.json().await.unwrap();
    let words = "64 computers are carried already: this is as many as may be";
    assert_eq!(answer, json!({"error": "carriers_full", "message": words}));
    let mut again = registry.carrier("COMP-2").await;
    there_and_back(&mut again, &wireguard).await;
    drop(carriers.pop());
    let begun = Instant::now();
    while registry.ask("COMP-66", PROTOCOL).await.status() != StatusCode::SWITCHING_PROTOCOLS {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "its place is free"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
