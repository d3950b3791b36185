//! A node calls its registry through a master's TLS, and nobody else's.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::serve::Listener;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use slapbox_re6st::disk::{Access, replace};
use slapbox_re6st::node::Source;
use slapbox_re6st::registry::router;
use slapbox_re6st::wire::COMPUTER_HEADER;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::lab::{Lab, Running, eventually};

pub(crate) type Ca = CertifiedIssuer<'static, KeyPair>;

/// A master's front: TLS that asks for a certificate of its CA, then the registry.
struct Front {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl Listener for Front {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Ok((stream, address)) = self.tcp.accept().await else {
                continue;
            };
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

pub(crate) fn ca() -> Ca {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Starts a master with a certificate for `name` and a registry of its own; returns its port.
async fn start_master(lab: &Lab, ca: &Ca, name: &str) -> (u16, Running) {
    start_front(lab, router(lab.registry()), ca, name).await
}

/// Starts a master before a registry, to whom everybody is COMP-2; returns its port.
pub(crate) async fn start_front(
    lab: &Lab,
    registry: Router,
    ca: &Ca,
    name: &str,
) -> (u16, Running) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()])
        .unwrap()
        .signed_by(&key, ca)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let clients = WebPkiClientVerifier::builder(Arc::new(roots))
        .build()
        .unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder().with_client_cert_verifier(clients);
    let config = config
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let front = Front {
        tcp,
        tls: TlsAcceptor::from(Arc::new(config)),
    };
    let app: Router = registry.layer(middleware::from_fn(
        async |mut request: Request, next: Next| {
            request
                .headers_mut()
                .insert(COMPUTER_HEADER, "COMP-2".parse().unwrap());
            next.run(request).await
        },
    ));
    (
        port,
        lab.keep(async move { axum::serve(front, app).await.unwrap() }),
    )
}

/// Writes the identity that an agent would have got from the owner of `ca`.
fn identity(lab: &Lab, ca: &Ca, port: u16, proxy: Option<&str>) -> Source {
    identity_of(lab, ca, port, proxy, 6326)
}

/// The same, of a computer whose WireGuard listens on another port.
pub(crate) fn identity_of(
    lab: &Lab,
    ca: &Ca,
    port: u16,
    proxy: Option<&str>,
    wireguard: u16,
) -> Source {
    let folder = lab.path("identity");
    std::fs::create_dir_all(&folder).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::default().signed_by(&key, ca).unwrap();
    let master = serde_json::json!({
        "urls": [format!("https://127.0.0.1:{port}")],
        "reference": "COMP-2",
        "overlay": {"port": wireguard, "endpoint": null},
        "proxy": proxy,
    });
    for (name, text) in [
        ("key.pem", key.serialize_pem()),
        ("certificate.pem", certificate.pem()),
        ("ca.pem", ca.pem()),
        ("master.json", master.to_string()),
    ] {
        replace(&folder.join(name), Access::Private, text.as_bytes()).unwrap();
    }
    Source::Identity(folder)
}

async fn reason_of(lab: &Lab, source: Source, words: &str) {
    let node = lab.start("COMP-2", source, &lab.machine());
    eventually("the reason is told", || match node.status() {
        Some(status) if status.reason.contains(words) => Ok(()),
        other => Err(other),
    })
    .await;
}

#[tokio::test]
async fn a_node_joins_through_its_master_at_any_address() {
    let lab = Lab::open();
    let ca = ca();
    let (port, _master) = start_master(&lab, &ca, "master.slapbox.internal").await;
    reason_of(
        &lab,
        identity(&lab, &ca, port, None),
        "nobody else has joined the network yet",
    )
    .await;
}

/// A proxy that leads wherever it is asked to, once; returns its URL and what it was asked.
async fn start_proxy() -> (String, JoinHandle<String>) {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", tcp.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut client, _) = tcp.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let to = head.split(' ').nth(1).unwrap();
        let mut server = TcpStream::connect(to).await.unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        head
    });
    (url, asked)
}

#[tokio::test]
async fn a_node_joins_through_a_proxy() {
    let lab = Lab::open();
    let ca = ca();
    let (port, _master) = start_master(&lab, &ca, "master.slapbox.internal").await;
    let (proxy, asked) = start_proxy().await;
    reason_of(
        &lab,
        identity(&lab, &ca, port, Some(&proxy)),
        "nobody else has joined the network yet",
    )
    .await;
    let asked = asked.await.unwrap();
    let words = format!("CONNECT 127.0.0.1:{port} HTTP/1.1");
    assert!(asked.starts_with(&words), "{asked}");
}

#[tokio::test]
async fn a_master_with_another_name_is_not_believed() {
    let lab = Lab::open();
    let ca = ca();
    let (port, _master) = start_master(&lab, &ca, "localhost").await;
    reason_of(
        &lab,
        identity(&lab, &ca, port, None),
        "master.slapbox.internal",
    )
    .await;
}

#[tokio::test]
async fn a_master_of_another_authority_is_not_believed() {
    let lab = Lab::open();
    let (port, _master) = start_master(&lab, &ca(), "master.slapbox.internal").await;
    reason_of(&lab, identity(&lab, &ca(), port, None), "certificate").await;
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_of() {
    let lab = Lab::open();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", tcp.local_addr().unwrap());
    let _proxy = lab.keep(async move {
        loop {
            let (mut client, _) = tcp.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            let refusal = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
            client.write_all(refusal).await.unwrap();
        }
    });
    let source = identity(&lab, &ca(), 1, Some(&proxy));
    reason_of(&lab, source, "tunnel error: unsuccessful").await;
}
