//! Nodes between which no UDP passes: their datagrams travel in the TLS of the master, by the proxy that leads to it.
//!
//! What is not real is WireGuard itself: a socket on the port where it would listen, which follows its peers as WireGuard does, encrypts nothing, and
//! loses what would leave the machine.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::IntoResponse as _;
use ipnet::Ipv6Net;
use slapbox_overlay::babel::{self, Babel, Origin};
use slapbox_overlay::keys::PublicKey;
use slapbox_overlay::links::{self, Desired, Observed, ObservedPeer, ObservedWireGuard, Outcome};
use slapbox_re6st::node::{Carrier, Ear, Machine, Source};
use slapbox_re6st::registry::{router, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use crate::lab::{Lab, Node, Running, connected, eventually};
use crate::tls::{ca, identity_of, start_front};

/// A machine on which UDP reaches the machine itself and nothing else.
#[derive(Clone, Debug)]
struct Blocked(Arc<WireGuard>);

#[derive(Debug)]
struct WireGuard {
    socket: UdpSocket,
    at: Mutex<Option<Ipv6Addr>>,
    peers: Mutex<BTreeMap<PublicKey, WirePeer>>,
    heard: AtomicUsize,
}

#[derive(Debug)]
struct WirePeer {
    allowed: Ipv6Net,
    endpoint: Option<SocketAddr>,
    is_heard: bool,
}

/// As long as WireGuard's shortest datagram: the sender's address, and nothing.
const HEAD: usize = 32;

impl Blocked {
    async fn new() -> Self {
        Self(Arc::new(WireGuard {
            socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(),
            at: Mutex::default(),
            peers: Mutex::default(),
            heard: AtomicUsize::default(),
        }))
    }

    fn port(&self) -> u16 {
        self.0.socket.local_addr().unwrap().port()
    }

    /// Returns how many datagrams have arrived.
    fn heard(&self) -> usize {
        self.0.heard.load(Ordering::Relaxed)
    }

    fn observed(&self) -> Observed {
        let mut observed = Observed::default();
        let peers = self.0.peers.lock().unwrap();
        let is_routed = peers.values().any(|peer| peer.is_heard);
        let peers = peers.iter().map(|(key, peer)| {
            let found = ObservedPeer {
                endpoint: peer.endpoint,
                handshake_age: peer.is_heard.then_some(Duration::from_secs(3)),
                ..ObservedPeer::default()
            };
            (*key, found)
        });
        observed.wireguard = Some(ObservedWireGuard {
            up: true,
            peers: peers.collect(),
            ..ObservedWireGuard::default()
        });
        for number in [1, 2].into_iter().filter(|_| is_routed) {
            let prefix = format!("fd12:3456:789a:{number}::/64").parse().unwrap();
            observed.babel.insert(prefix, format!("slt{number}"));
        }
        observed
    }
}

impl Machine for Blocked {
    async fn links(&self, desired: &Desired) -> Result<Outcome, links::Error> {
        let observed = self.observed();
        let mut peers = self.0.peers.lock().unwrap();
        peers.retain(|key, _| desired.wireguard.peers.contains_key(key));
        for (key, wanted) in &desired.wireguard.peers {
            let peer = peers.entry(*key).or_insert(WirePeer {
                allowed: wanted.allowed,
                endpoint: None,
                is_heard: false,
            });
            if wanted.endpoint.is_some() && (wanted.moves || !peer.is_heard) {
                peer.endpoint = wanted.endpoint;
            }
        }
        Ok(Outcome {
            changed: 0,
            failures: Vec::new(),
            observed,
        })
    }

    async fn look_again(&self, _: &Observed) -> Result<Observed, links::Error> {
        Ok(self.observed())
    }

    async fn babel(&self, _: &Babel) -> Result<bool, babel::Error> {
        Ok(true)
    }

    async fn restart_babel(&self, _: &Babel) -> Result<(), babel::Error> {
        Ok(())
    }

    type Ear = Self;

    fn listen(&self, at: Ipv6Addr, through: Option<&str>) -> io::Result<Self> {
        // What comes through the overlay is not of this story.
        if through.is_some() {
            *self.0.at.lock().unwrap() = Some(at);
        }
        Ok(self.clone())
    }

    async fn origins(&self, _: &Babel) -> Result<Vec<Origin>, babel::Error> {
        Ok(Vec::new())
    }

    fn addresses(&self) -> Vec<(String, IpAddr)> {
        Vec::new()
    }
}

impl Ear for Blocked {
    fn say(&self, to: Ipv6Addr, what: &[u8]) -> io::Result<()> {
        let peers = self.0.peers.lock().unwrap();
        let mut peers = peers.values();
        let endpoint = peers.find(|peer| peer.allowed.contains(&to));
        let endpoint = endpoint.and_then(|peer| peer.endpoint);
        let Some(endpoint) = endpoint.filter(|endpoint| endpoint.ip().is_loopback()) else {
            return Ok(());
        };
        let at = self.0.at.lock().unwrap().unwrap();
        let datagram = [&at.octets()[..], &[0; HEAD - 16], what].concat();
        self.0.socket.try_send_to(&datagram, endpoint).map(drop)
    }

    async fn hear(&self, into: &mut [u8]) -> io::Result<(Ipv6Addr, usize)> {
        let mut datagram = [0; 256];
        loop {
            let (length, from) = self.0.socket.recv_from(&mut datagram).await?;
            let (head, what) = datagram[..length].split_at(HEAD);
            let sender = Ipv6Addr::from(*head.first_chunk::<16>().unwrap());
            let mut peers = self.0.peers.lock().unwrap();
            let mut peers = peers.values_mut();
            let Some(peer) = peers.find(|peer| peer.allowed.contains(&sender)) else {
                continue;
            };
            (peer.endpoint, peer.is_heard) = (Some(from), true);
            self.0.heard.fetch_add(1, Ordering::Relaxed);
            into[..what.len()].copy_from_slice(what);
            return Ok((sender, what.len()));
        }
    }
}

/// A proxy that leads wherever it is asked to, until it is cut.
struct Proxy {
    url: String,
    asked: Arc<AtomicUsize>,
    under_way: Arc<tokio::sync::Mutex<JoinSet<()>>>,
    _running: Running,
}

impl Proxy {
    async fn start(lab: &Lab) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", tcp.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let under_way = Arc::new(tokio::sync::Mutex::new(JoinSet::new()));
        let (counted, held) = (Arc::clone(&asked), Arc::clone(&under_way));
        let running = lab.keep(async move {
            loop {
                let (client, _) = tcp.accept().await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                held.lock().await.spawn(lead(client));
            }
        });
        Self {
            url,
            asked,
            under_way,
            _running: running,
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    async fn cut(&self) {
        self.under_way.lock().await.shutdown().await;
    }
}

async fn lead(mut client: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let mut words = head.split(' ');
    assert_eq!(words.next(), Some("CONNECT"));
    let mut server = TcpStream::connect(words.next().unwrap()).await.unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

/// A source of the registry's own computer, which says to be reached where nobody reaches it.
fn host(lab: &Lab, port: u16) -> Source {
    let Source::Socket { socket, mut master } = lab.source("COMP-1") else {
        unreachable!("a lab's sources are sockets");
    };
    master.overlay.port = port;
    master.overlay.endpoint = Some("192.0.2.1:6326".to_owned());
    Source::Socket { socket, master }
}

async fn travels_in_tls(node: &Node) {
    let status = connected(node).await;
    assert_eq!(status.links[0].carrier, Some(Carrier::Tls), "{status:?}");
}

/// Two computers between which no UDP passes, one of which has the registry.
struct Pair {
    _lab: Lab,
    first: Blocked,
    second: Blocked,
    proxy: Proxy,
    first_node: Node,
    node: Node,
    _running: [Running; 2],
}

impl Pair {
    /// Starts all of them, with a registry that is changed like this on the way to the second.
    async fn start(change: impl FnOnce(Router) -> Router) -> Self {
        let lab = Lab::open();
        let ca = ca();
        let registry = lab.registry();
        let before = change(router(registry.clone()));
        let (port, front) = start_front(&lab, before, &ca, "master.slapbox.internal").await;
        let socket = lab.path("http.sock");
        let server = lab.keep(async move { serve(registry, &socket).await.unwrap() });
        let (first, second) = (Blocked::new().await, Blocked::new().await);
        let first_node = lab.start("COMP-1", host(&lab, first.port()), &first);
        let proxy = Proxy::start(&lab).await;
        let source = identity_of(&lab, &ca, port, Some(&proxy.url), second.port());
        let node = lab.start("COMP-2", source, &second);
        Self {
            _lab: lab,
            first,
            second,
            proxy,
            first_node,
            node,
            _running: [front, server],
        }
    }
}

#[tokio::test]
async fn a_node_whose_udp_is_blocked_is_connected_through_its_proxy() {
    let pair = Pair::start(|registry| registry).await;
    let (first, second, proxy) = (&pair.first, &pair.second, &pair.proxy);
    travels_in_tls(&pair.node).await;
    travels_in_tls(&pair.first_node).await;

    let asked = proxy.asked();
    assert!(
        asked >= 2,
        "calls and datagrams have connections of their own"
    );
    proxy.cut().await;
    eventually("the carrier is there again", || {
        if proxy.asked() >= asked + 2 {
            Ok(())
        } else {
            Err(proxy.asked())
        }
    })
    .await;
    let heard = (first.heard(), second.heard());
    eventually("datagrams go there and back", || {
        let news = (first.heard(), second.heard());
        if news.0 > heard.0 + 5 && news.1 > heard.1 + 5 {
            Ok(())
        } else {
            Err(news)
        }
    })
    .await;
    travels_in_tls(&pair.node).await;
}

#[tokio::test]
async fn a_registry_that_is_older_than_carriers_is_named() {
    let pair = Pair::start(|registry| {
        registry.layer(middleware::from_fn(
            async |request: Request, next: Next| match request.uri().path() {
                "/v1/re6st/carrier" => StatusCode::NOT_FOUND.into_response(),
                _ => next.run(request).await,
            },
        ))
    })
    .await;
    let words = "the other computer does not answer: COMP-1 does not at 192.0.2.1:6326 (UDP); \
                 there is no way to COMP-1 in TLS either: the registry gives no carrier: the registry, \
                 or the master before it, is older than carriers: status 404 Not Found";
    eventually("the reason is told", || match pair.node.status() {
        Some(status) if status.reason == words => Ok(()),
        other => Err(other),
    })
    .await;
}
