//! Answers what nodes and partitions of the network are called and where they are: DNS on the loopback, for this machine's resolver alone.
//!
//! It never asks anybody, and never changes how the machine resolves names: it says in `names.env` what it answers for, and systemd has the
//! resolver ask.

mod answer;
mod zone;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use ipnet::Ipv6Net;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Places;
use super::document::Document;
use super::membership::Membership;
use crate::disk::{self, Access};
use crate::reference::Reference;
use crate::words::words;
use answer::{Outcome, Transport, answer};
use zone::Zone;

/// The longest question in a datagram that is read.
const LONGEST: usize = 4096;
/// How many may ask by a connection at a time, and how long one may take.
const CONNECTIONS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(5);
/// After what time to try again where somebody else has the port.
const AGAIN: Duration = Duration::from_secs(5);
/// How long to wait after an error of a socket, so that one that lasts does not keep the daemon busy.
const BREATH: Duration = Duration::from_millis(100);

/// What became of questions, since the daemon began.
#[derive(Debug, Default)]
pub(super) struct Counts {
    answered: AtomicU64,
    refused: AtomicU64,
    dropped: AtomicU64,
}

impl Counts {
    /// Returns how often what happened, by a word for it.
    pub(super) fn all(&self) -> [(&'static str, u64); 3] {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("answered", count(&self.answered)),
            ("refused", count(&self.refused)),
            ("dropped", count(&self.dropped)),
        ]
    }

    fn take(&self, outcome: Option<Outcome>) {
        let count = match outcome {
            Some(Outcome::Answered) => &self.answered,
            Some(Outcome::Refused) => &self.refused,
            None => &self.dropped,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns what a node is called in its network; nothing if its reference cannot be part of a name.
pub(super) fn name_of(document: &Document) -> Option<String> {
    let label = zone::label_of(&document.facts.reference)?;
    Some(format!("{label}.{}", document.joined.view.domain))
}

/// Answers, for ever.
pub(super) async fn keep(
    places: &Places,
    counts: &Counts,
    membership: watch::Receiver<Membership>,
) {
    let mut complained = false;
    let (datagrams, connections) = loop {
        match bind(places.names).await {
            Ok(bound) => break bound,
            Err(err) => {
                if !std::mem::replace(&mut complained, true) {
                    tracing::warn!(at = %places.names, error = %words(&err), "names cannot be answered");
                }
                sleep(AGAIN).await;
            }
        }
    };
    let zone = watch::Sender::new(None);
    tokio::select! {
        () = follow(places, datagrams.local_addr(), membership, &zone) => {}
        () = answer_datagrams(&datagrams, counts, &zone) => {}
        () = answer_connections(&connections, counts, &zone) => {}
    }
}

async fn bind(at: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let datagrams = UdpSocket::bind(at).await?;
    let connections = TcpListener::bind(datagrams.local_addr()?).await?;
    Ok((datagrams, connections))
}

/// Knows the names of the network that the node is in, and says for which of them it answers.
async fn follow(
    places: &Places,
    at: io::Result<SocketAddr>,
    mut membership: watch::Receiver<Membership>,
    zone: &watch::Sender<Option<Arc<Zone>>>,
) {
    let Ok(at) = at else { return };
    let mut known = None;
    loop {
        let document = membership.borrow_and_update().document.clone();
        if let Some(document) = document.filter(|it| known != Some(signs(it))) {
            known = Some(signs(&document));
            match Zone::new(&document) {
                Ok(names) => {
                    if let Err(err) = tell(places, at, &names) {
                        tracing::error!(error = %words(&err), "the resolver is not told of the network's names");
                    }
                    zone.send_replace(Some(Arc::new(names)));
                }
                Err(err) => tracing::error!(error = %words(&err), "the network has no names"),
            }
        }
        if membership.changed().await.is_err() {
            return;
        }
    }
}

/// Returns by what a document has other names than another.
fn signs(document: &Document) -> (u64, Ipv6Net, Reference) {
    let reference = document.facts.reference.clone();
    let joined = &document.joined;
    (joined.view.version, joined.prefix, reference)
}

/// Writes whom to ask for which names, as `slapbox-names.service` reads it.
fn tell(places: &Places, at: SocketAddr, zone: &Zone) -> Result<(), disk::Error> {
    let path = places.run.join("names.env");
    let domains = zone.domains().map(|domain| format!("~{domain}")).join(" ");
    let text = format!("SERVER=\"{at}\"\nDOMAINS=\"{domains}\"\n");
    if disk::read(&path)?.as_ref() == Some(&text) {
        return Ok(());
    }
    disk::replace(&path, Access::Public, text.as_bytes())
}

async fn answer_datagrams(
    socket: &UdpSocket,
    counts: &Counts,
    zone: &watch::Sender<Option<Arc<Zone>>>,
) {
    let mut question = vec![0; LONGEST];
    loop {
        let (length, from) = match socket.recv_from(&mut question).await {
            Ok(came) => came,
            Err(err) => {
                tracing::debug!(error = %words(&err), "a question was not heard");
                sleep(BREATH).await;
                continue;
            }
        };
        let names = zone.borrow().clone();
        let answered = answer(names.as_deref(), &question[..length], Transport::Datagram);
        counts.take(answered.as_ref().map(|(_, outcome)| *outcome));
        // Who does not wait for the answer asks again.
        if let Some((bytes, _)) = answered
            && let Err(err) = socket.send_to(&bytes, from).await
        {
            tracing::debug!(%from, error = %words(&err), "an answer was not sent");
        }
    }
}

async fn answer_connections(
    listener: &TcpListener,
    counts: &Counts,
    zone: &watch::Sender<Option<Arc<Zone>>>,
) {
    let mut connections = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => connections.push(timeout(PATIENCE, converse(stream, counts, zone))),
                Err(err) => {
                    tracing::debug!(error = %words(&err), "a connection was not taken");
                    sleep(BREATH).await;
                }
            },
            Some(_) = connections.next() => {}
        }
    }
}

/// Answers on a connection, each question and answer behind its length, until the other end has none or is slow.
async fn converse(
    mut stream: TcpStream,
    counts: &Counts,
    zone: &watch::Sender<Option<Arc<Zone>>>,
) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut question = vec![0; length.into()];
        stream.read_exact(&mut question).await?;
        let names = zone.borrow().clone();
        let answered = answer(names.as_deref(), &question, Transport::Stream);
        counts.take(answered.as_ref().map(|(_, outcome)| *outcome));
        let Some((bytes, _)) = answered else {
            return Ok(());
        };
        let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
        let whole = [&length.to_be_bytes(), bytes.as_slice()].concat();
        stream.write_all(&whole).await?;
    }
}
