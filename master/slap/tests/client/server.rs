//! A master that is none: a CA, a server certificate of one's choice, and a few routes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData as _, SanType,
    SigningKey as _,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use slap::MASTER_NAME;
use slap::client::{Client, Clock, Identity, Settings, Trust};
use slap::join::CaPin;
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, rustls};

/// A CA with its key.
pub(crate) struct Ca {
    pub(crate) pem: String,
    pub(crate) der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.not_before = days(-3650);
        params.not_after = days(3650);
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn pin(&self) -> CaPin {
        CaPin::of_spki(&self.issuer.key().subject_public_key_info())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.issuer.key().sign(message).expect("a signature")
    }

    /// Issues a certificate: its name, and its first and last day from today.
    pub(crate) fn issue(&self, name: &str, from: i64, to: i64) -> Leaf {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().expect("a name"))];
        params.not_before = days(from);
        params.not_after = days(to);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Leaf {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            key,
        }
    }

    /// The certificate that a master has.
    pub(crate) fn master(&self) -> Leaf {
        self.issue(MASTER_NAME, -1, 1)
    }
}

fn days(from_today: i64) -> OffsetDateTime {
    OffsetDateTime::now_utc() + time::Duration::days(from_today)
}

pub(crate) struct Leaf {
    pem: String,
    der: CertificateDer<'static>,
    key: KeyPair,
}

impl Leaf {
    pub(crate) fn identity(&self) -> Identity {
        Identity {
            certificate_pem: self.pem.clone(),
            key_pem: self.key.serialize_pem(),
        }
    }
}

struct TlsListener {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.tcp.accept().await.expect("a connection");
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// Serves with a certificate, and sends `sent` as its CA's; returns the URL.
pub(crate) async fn serve(leaf: &Leaf, sent: &Ca, clients: Option<&Ca>, routes: Router) -> String {
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(ca.der.clone()).expect("a CA");
            let provider = Arc::new(aws_lc_rs::default_provider());
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
    };
    let key = PrivatePkcs8KeyDer::from(leaf.key.serialize_der());
    let config = builder
        .with_single_cert(vec![leaf.der.clone(), sent.der.clone()], key.into())
        .expect("a certificate");
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{}", tcp.local_addr().expect("an address"));
    let listener = TlsListener {
        tcp,
        tls: TlsAcceptor::from(Arc::new(config)),
    };
    tokio::spawn(axum::serve(listener, routes).into_future());
    url
}

/// A proxy that leads wherever it is asked to, once; returns its URL and what it was asked.
pub(crate) async fn proxy() -> (String, JoinHandle<String>) {
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", tcp.local_addr().expect("an address"));
    let asked = tokio::spawn(async move {
        let (mut client, _) = tcp.accept().await.expect("a connection");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.expect("a request"));
        }
        let head = String::from_utf8(head).expect("text");
        let to = head.split(' ').nth(1).expect("an address");
        let mut server = TcpStream::connect(to).await.expect("a server");
        let answer = client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        answer.expect("somebody who listens");
        tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        head
    });
    (url, asked)
}

pub(crate) fn settings(url: &str, trust: Trust) -> Settings {
    Settings {
        urls: vec![url.to_owned()],
        trust,
        clock: Clock::Trusted,
        identity: None,
        proxy: None,
        timeout: Duration::from_secs(5),
    }
}

/// A client of a well made master with these routes.
pub(crate) async fn client_of(routes: Router) -> Client {
    let ca = Ca::new();
    let url = serve(&ca.master(), &ca, None, routes).await;
    Client::new(&settings(&url, Trust::Pin(ca.pin()))).expect("a client")
}
