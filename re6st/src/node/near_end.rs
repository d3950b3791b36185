//! The near end of a carrier: a socket beside this machine's WireGuard, whose datagrams travel in TLS to the registry's computer, by the way of all
//! calls to the registry; for as long as it is kept.
//!
//! It connects again by itself, and the socket stays the same, so that WireGuard notices nothing. It decides nothing: whether it shall be there,
//! when UDP is tried and what follows from an answer is `detour.rs`'s.

mod probes;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::backoff::{chance, pause};
use super::client::Error as ClientError;
use super::credentials::{Error as CredentialsError, Registry, Source};
use super::detour;
use crate::carrier::{Ended, beside_wireguard, carry, forget_waiting};
use crate::words::words;
use probes::{Probes, Tries};

/// For how long nothing is delivered after UDP has answered: in that time WireGuard is heard by UDP there, and the other WireGuard here, but no
/// tunnel is taken for dead.
const HUSH: Duration = Duration::from_millis(600);
/// A connection that lasted for so long was a good one: the next is tried at once.
const GOOD: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the master cannot be called")]
    Credentials(#[source] CredentialsError),
    #[error("the registry gives no carrier")]
    Open(#[source] ClientError),
    #[error("the carrier ended")]
    Ended(#[source] Ended),
}

/// The near end of a carrier, which ends when dropped.
#[derive(Debug)]
pub(super) struct NearEnd {
    /// WireGuard's port.
    port: u16,
    at: SocketAddr,
    order: watch::Sender<Order>,
    news: watch::Receiver<News>,
    task: JoinHandle<()>,
}

/// What it shall do beside carrying.
#[derive(Clone, Debug, Default)]
struct Order {
    /// How often UDP shall have been tried, and where.
    probe: u64,
    to: Vec<SocketAddr>,
    /// Until when nothing is delivered.
    silent_until: Option<Instant>,
}

/// How it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct News {
    is_connected: bool,
    /// Why not, in words.
    problem: Option<String>,
    /// Which probe has been answered from where.
    answered: Option<(u64, SocketAddr)>,
}

impl NearEnd {
    /// Begins beside the WireGuard that listens on this port.
    ///
    /// # Errors
    ///
    /// The kernel gives no socket.
    pub(super) fn begin(source: Source, port: u16) -> io::Result<Self> {
        let wireguard = beside_wireguard(port)?;
        let at = wireguard.local_addr()?;
        let (order, orders) = watch::channel(Order::default());
        let (told, news) = watch::channel(News::default());
        let task = tokio::spawn(keep(source, wireguard, orders, told));
        Ok(Self {
            port,
            at,
            order,
            news,
            task,
        })
    }

    /// Returns the port of the WireGuard that it is beside.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Returns how it is.
    pub(super) fn seen(&self) -> detour::Near {
        let news = self.news.borrow();
        let probe = self.order.borrow().probe;
        let of_the_last = news.answered.filter(|(number, _)| *number == probe);
        detour::Near {
            at: self.at,
            is_connected: news.is_connected,
            answered: of_the_last.map(|(_, from)| from),
        }
    }

    /// Returns in words why it carries nothing.
    pub(super) fn problem(&self) -> Option<String> {
        self.news.borrow().problem.clone()
    }

    /// Tries whether datagrams reach one of these addresses by UDP, and come back.
    pub(super) fn probe(&self, to: Vec<SocketAddr>) {
        self.order.send_modify(|order| {
            order.probe += 1;
            order.to = to;
        });
    }

    /// Delivers nothing for a moment, and forgets who has answered.
    pub(super) fn hush(&self) {
        self.order.send_modify(|order| {
            order.probe += 1;
            order.to = Vec::new();
            order.silent_until = Some(Instant::now() + HUSH);
        });
    }

    /// Waits until it is otherwise than before.
    pub(super) async fn moved(&mut self) {
        if self.news.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl Drop for NearEnd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(
    source: Source,
    wireguard: UdpSocket,
    orders: watch::Receiver<Order>,
    news: watch::Sender<News>,
) {
    let probes = Probes::open();
    let heard = |from: SocketAddr, datagram: &[u8]| {
        let order = orders.borrow();
        if !order.to.contains(&from) {
            return;
        }
        if is_loud(&order) {
            // What finds no room is lost, as a datagram may be.
            let _ = wireguard.try_send(datagram);
        }
        let answered = Some((order.probe, from));
        news.send_if_modified(|news| std::mem::replace(&mut news.answered, answered) != answered);
    };
    tokio::select! {
        () = connect(&source, &wireguard, &probes, &orders, &news) => {}
        () = probes.listen(heard) => {}
    }
}

/// Whether what comes is delivered.
fn is_loud(order: &Order) -> bool {
    order.silent_until.is_none_or(|end| Instant::now() >= end)
}

/// Carries, and connects again whenever that ends, for ever.
async fn connect(
    source: &Source,
    wireguard: &UdpSocket,
    probes: &Probes,
    orders: &watch::Receiver<Order>,
    news: &watch::Sender<News>,
) {
    let (mut attempt, mut failures) = (0, 0);
    let mut registry = None;
    loop {
        let begun = Instant::now();
        let err = match open(source, attempt, &mut registry).await {
            Ok(stream) => {
                tracing::info!("datagrams to the registry's computer can travel in TLS");
                news.send_modify(|news| (news.is_connected, news.problem) = (true, None));
                forget_waiting(wireguard);
                let mut tries = Tries::default();
                let sends = |datagram: &[u8]| {
                    let order = orders.borrow();
                    if tries.may(order.probe, Instant::now()) {
                        probes.send(datagram, &order.to);
                    }
                };
                let ended = carry(stream, wireguard, sends, || is_loud(&orders.borrow())).await;
                Error::Ended(ended)
            }
            Err(err) => err,
        };
        if begun.elapsed() >= GOOD {
            failures = 0;
        }
        failures += 1;
        attempt += 1;
        let problem = words(&err);
        tracing::warn!(%problem, failures, "datagrams to the registry's computer cannot travel in TLS");
        news.send_modify(|news| (news.is_connected, news.problem) = (false, Some(problem)));
        tokio::time::sleep(pause(failures, chance())).await;
    }
}

/// Opens a connection by the next of the master's addresses.
async fn open(
    source: &Source,
    attempt: usize,
    registry: &mut Option<Registry>,
) -> Result<reqwest::Upgraded, Error> {
    let opened = source.open(attempt, registry.take());
    let opened = registry.insert(opened.map_err(Error::Credentials)?);
    opened.client.carrier().await.map_err(Error::Open)
}

#[cfg(test)]
pub(super) mod tests;
