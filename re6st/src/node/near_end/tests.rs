//! Near ends on a real registry's socket, with plain sockets in the place of both WireGuards.

use std::sync::Arc;

use axum::Router;
use camino::Utf8PathBuf;
use rcgen::{CertificateParams, KeyPair};
use slapbox_overlay::keys::PublicKey;
use tempfile::TempDir;
use time::OffsetDateTime;

use super::*;
use crate::node::{Master, Overlay};
use crate::registry::{self, Moment, Registry, Settings};
use crate::wire::JoinRequest;

/// Something that ends when dropped.
pub(in crate::node) struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn moment() -> Moment {
    Moment {
        now: OffsetDateTime::now_utc(),
        serial: [7; 16],
    }
}

/// Makes the computer of a WireGuard a member.
fn join(registry: &Registry, number: u8, wireguard: &UdpSocket) {
    let key = KeyPair::generate().unwrap();
    let csr = CertificateParams::default().serialize_request(&key);
    let request = JoinRequest {
        csr: csr.unwrap().pem().unwrap(),
        wireguard_public_key: PublicKey([number; 32]),
        port: wireguard.local_addr().unwrap().port(),
        endpoint: None,
        addresses: Vec::new(),
    };
    let name = format!("COMP-{number}").parse().unwrap();
    registry.join(&name, None, &request, moment()).unwrap();
}

/// A registry's folder, the WireGuard of its computer and that of another member.
pub(in crate::node) struct Pair {
    folder: TempDir,
    pub(in crate::node) far: UdpSocket,
    pub(in crate::node) near: UdpSocket,
}

impl Pair {
    pub(in crate::node) async fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let socket = async || UdpSocket::bind("127.0.0.1:0").await.unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            far: socket().await,
            near: socket().await,
        }
    }

    fn socket(&self) -> Utf8PathBuf {
        let folder = Utf8PathBuf::try_from(self.folder.path().to_owned()).unwrap();
        folder.join("http.sock")
    }

    /// Opens the registry, of which both are members.
    pub(in crate::node) fn registry(&self) -> Arc<Registry> {
        let settings = Settings {
            state: self.socket().with_file_name("state"),
            socket: self.socket(),
            network: None,
            host: None,
            regions: std::collections::BTreeMap::new(),
            domain: crate::domain::Domain::default(),
        };
        let registry = Registry::open(&settings, [7; 5], moment()).unwrap();
        join(&registry, 1, &self.far);
        join(&registry, 2, &self.near);
        Arc::new(registry)
    }

    pub(in crate::node) fn serve(&self, registry: &Arc<Registry>) -> Running {
        let (registry, socket) = (Arc::clone(registry), self.socket());
        Running(tokio::spawn(async move {
            registry::serve(registry, &socket).await.unwrap();
        }))
    }

    pub(in crate::node) fn source(&self) -> Source {
        let master = Master {
            urls: vec!["https://192.0.2.1".to_owned()],
            reference: "COMP-2".parse().unwrap(),
            overlay: Overlay {
                port: self.near.local_addr().unwrap().port(),
                endpoint: None,
            },
            proxy: None,
        };
        Source::Socket {
            socket: self.socket(),
            master,
        }
    }

    fn begin(&self) -> NearEnd {
        NearEnd::begin(self.source(), self.near.local_addr().unwrap().port()).unwrap()
    }

    /// Sends a datagram there, and another one back; both arrive.
    async fn there_and_back(&self, end: &NearEnd) {
        self.near.send_to(&[1; 60], end.at).await.unwrap();
        let (_, back) = heard(&self.far).await;
        self.far.send_to(&[2; 60], back).await.unwrap();
        assert_eq!(heard(&self.near).await, (vec![2; 60], end.at));
    }
}

pub(in crate::node) async fn heard(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut datagram = [0; 100];
    let heard = tokio::time::timeout(Duration::from_secs(20), socket.recv_from(&mut datagram));
    let (length, from) = heard.await.expect("a datagram arrives").unwrap();
    (datagram[..length].to_vec(), from)
}

async fn until(end: &mut NearEnd, what: impl Fn(&NearEnd) -> bool) {
    let waited = async {
        while !what(end) {
            end.moved().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waited).await;
    assert!(waited.is_ok(), "{end:?}");
}

#[tokio::test]
async fn datagrams_go_there_and_back_and_again_after_the_far_end_has_ended() {
    let pair = Pair::new().await;
    let registry = pair.registry();
    let _serving = pair.serve(&registry);
    let mut end = pair.begin();
    until(&mut end, |end| end.seen().is_connected).await;
    pair.there_and_back(&end).await;
    let before = end.at;
    registry.release(&"COMP-2".parse().unwrap()).unwrap();
    until(&mut end, |end| !end.seen().is_connected).await;
    assert!(end.problem().is_some());
    join(&registry, 2, &pair.near);
    until(&mut end, |end| end.seen().is_connected).await;
    assert_eq!((end.problem(), end.at), (None, before));
    pair.there_and_back(&end).await;
}

#[tokio::test]
async fn udp_is_tried_by_copies_and_the_carrier_falls_silent_when_told_so() {
    let pair = Pair::new().await;
    let _serving = pair.serve(&pair.registry());
    let mut end = pair.begin();
    until(&mut end, |end| end.seen().is_connected).await;
    pair.there_and_back(&end).await;
    let by_udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let public = by_udp.local_addr().unwrap();
    let silent: SocketAddr = "127.0.0.1:9".parse().unwrap();
    end.probe(vec![silent, public]);
    pair.near.send_to(&[3; 60], end.at).await.unwrap();
    assert_eq!(heard(&pair.far).await.0, [3; 60]);
    let (copy, from) = heard(&by_udp).await;
    assert_eq!(copy, [3; 60]);
    assert_eq!(end.seen().answered, None);

    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = SocketAddr::from(([127, 0, 0, 1], from.port()));
    stranger.send_to(&[9; 60], to).await.unwrap();
    by_udp.send_to(&[4; 60], to).await.unwrap();
    assert_eq!(heard(&pair.near).await, (vec![4; 60], end.at));
    until(&mut end, |end| end.seen().answered.is_some()).await;
    assert_eq!(end.seen().answered, Some(public));

    end.hush();
    assert_eq!(end.seen().answered, None);
    pair.near.send_to(&[5; 60], end.at).await.unwrap();
    let (_, back) = heard(&pair.far).await;
    pair.far.send_to(&[6; 60], back).await.unwrap();
    tokio::time::sleep(HUSH + Duration::from_millis(100)).await;
    pair.far.send_to(&[7; 60], back).await.unwrap();
    assert_eq!(
        heard(&pair.near).await.0,
        [7; 60],
        "what came before is lost"
    );
}

#[tokio::test]
async fn why_there_is_no_carrier_is_told() {
    let pair = Pair::new().await;
    let mut end = pair.begin();
    let nobody = "the registry gives no carrier: failed to call the registry: ";
    until(&mut end, |end| {
        end.problem().is_some_and(|it| it.starts_with(nobody))
    })
    .await;

    let listener = tokio::net::UnixListener::bind(pair.socket()).unwrap();
    let older = Running(tokio::spawn(async move {
        axum::serve(listener, Router::new()).await.unwrap();
    }));
    let words = "the registry gives no carrier: the registry, or the master before it, is older than \
                 carriers: status 404 Not Found";
    until(&mut end, |end| end.problem().as_deref() == Some(words)).await;
    drop(older);

    let registry = pair.registry();
    registry.release(&"COMP-2".parse().unwrap()).unwrap();
    let _serving = pair.serve(&registry);
    let words = "the registry gives no carrier: the registry refuses: the computer is not a member";
    until(&mut end, |end| end.problem().as_deref() == Some(words)).await;
}
