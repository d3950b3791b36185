//! Datagrams between two sockets by a stream, and streams that end.

use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::*;

/// A socket in WireGuard's place, the far end of a stream that its datagrams travel in, and what becomes of it.
async fn carried(room: usize) -> (UdpSocket, DuplexStream, JoinHandle<Ended>) {
    let wireguard = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let beside = beside_wireguard(wireguard.local_addr().unwrap().port()).unwrap();
    wireguard
        .connect(beside.local_addr().unwrap())
        .await
        .unwrap();
    let (near, far) = duplex(room);
    let ended = tokio::spawn(async move { carry(near, &beside, |_| {}, || true).await });
    (wireguard, far, ended)
}

#[tokio::test]
async fn datagrams_go_both_ways() {
    let (wireguard, mut far, _carrying) = carried(4096).await;
    wireguard.send(&[1; 40]).await.unwrap();
    let mut frame = [0; 42];
    far.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[..2], [0, 40]);
    assert_eq!(frame[2..], [1; 40]);
    far.write_all(&[0, 32]).await.unwrap();
    far.write_all(&[2; 32]).await.unwrap();
    let mut datagram = [0; 64];
    let length = wireguard.recv(&mut datagram).await.unwrap();
    assert_eq!(datagram[..length], [2; 32]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_takes_nothing_ends_and_the_rest_is_lost() {
    let (wireguard, _far, ended) = carried(64).await;
    for _ in 0..200 {
        wireguard.send(&[1; 1400]).await.unwrap();
    }
    assert!(matches!(ended.await.unwrap(), Ended::Stuck));
}

#[tokio::test(start_paused = true)]
async fn a_stream_in_which_nothing_comes_ends() {
    let (_wireguard, _far, ended) = carried(64).await;
    assert!(matches!(ended.await.unwrap(), Ended::Idle));
}

#[tokio::test]
async fn garbage_ends_the_stream() {
    let (_wireguard, mut far, ended) = carried(4096).await;
    far.write_all(&[0, 0]).await.unwrap();
    assert!(matches!(
        ended.await.unwrap(),
        Ended::Frame(BadFrame::Short(0))
    ));
    let (_wireguard, far, ended) = carried(4096).await;
    drop(far);
    assert!(matches!(ended.await.unwrap(), Ended::Closed));
}

#[tokio::test]
async fn nobody_but_wireguard_is_heard() {
    let (wireguard, mut far, _carrying) = carried(4096).await;
    let to = wireguard.peer_addr().unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.send_to(&[9; 40], to).await.unwrap();
    wireguard.send(&[1; 32]).await.unwrap();
    let mut frame = [0; 34];
    far.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[2..], [1; 32]);
}
