//! The data plane for kernels without WireGuard or without tunnels of IPv6 in IPv6: both in this process.
//!
//! What leaves the machine is what the kernel's own would send, so nodes of both kinds talk to each other. `slapwg0` and
//! the tunnels are TUN interfaces, which last as long as the plane. It decides nothing: peers, keys and tunnels are told
//! to it. It reads no clock that can be set, writes nothing to disk, and gives no peer's packet a source that is not
//! that peer's.

mod device;
mod drops;
mod ecn;
mod gate;
mod message;
mod outlet;
mod packet;
mod peers;
mod run;
mod switch;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use ipnet::Ipv6Net;
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use crate::keys::{PrivateKey, PublicKey};
use crate::links::{Change as WireGuardChange, Tunnel};

pub use drops::{Drops, Reason};

/// The most packets that the kernel may hand over as one: as many as one read takes apart. What comes as more, of very
/// small ones, it takes apart itself.
pub(crate) const JOINED: u8 = 128;
/// How many orders may wait.
const ORDERS: usize = 16;

/// A running data plane. It ends, and its interfaces with it, when the last handle goes.
#[derive(Clone, Debug)]
pub struct Plane(Arc<Thread>);

#[derive(Debug)]
struct Thread {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

/// What is asked of the thread.
enum Order {
    Change(Box<Change>, oneshot::Sender<io::Result<()>>),
    Look(oneshot::Sender<Seen>),
}

/// One change of the interfaces or of what is behind them.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// The interface of the link network, with no key, port nor peers.
    AddLinks { mtu: u32 },
    /// A tunnel.
    AddTunnel { name: String, tunnel: Tunnel },
    /// An interface less.
    RemoveLink(String),
    /// The largest packet of an interface.
    SetMtu { link: String, mtu: u32 },
    /// What the link network knows.
    WireGuard(WireGuardChange),
}

/// What there is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The interface of the link network, if it is there.
    pub(crate) links: Option<SeenLinks>,
    /// Tunnels by name.
    pub(crate) tunnels: BTreeMap<String, SeenTunnel>,
    /// What was dropped.
    pub(crate) drops: Drops,
}

/// The link network.
#[derive(Clone, Debug)]
pub(crate) struct SeenLinks {
    /// The kernel's number of its interface.
    pub(crate) index: u32,
    /// The node's key.
    pub(crate) private_key: Option<PrivateKey>,
    /// The port, or 0.
    pub(crate) port: u16,
    /// Peers by key.
    pub(crate) peers: BTreeMap<PublicKey, SeenPeer>,
}

/// A peer.
#[derive(Clone, Debug)]
pub(crate) struct SeenPeer {
    pub(crate) allowed: Option<Ipv6Net>,
    pub(crate) endpoint: Option<SocketAddr>,
    pub(crate) keepalive: u16,
    pub(crate) handshake_age: Option<Duration>,
    /// Bytes received and sent.
    pub(crate) traffic: (u64, u64),
}

/// A tunnel.
#[derive(Clone, Debug)]
pub(crate) struct SeenTunnel {
    /// The kernel's number of its interface.
    pub(crate) index: u32,
    /// Our end and the peer's.
    pub(crate) ends: (Ipv6Addr, Ipv6Addr),
}

impl Plane {
    /// Starts a data plane in the network namespace of the calling thread, with no interface yet.
    ///
    /// It has a thread of its own, so that nothing else that the process does makes packets wait.
    pub fn start() -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let (orders, queue) = mpsc::channel(ORDERS);
        let thread = std::thread::Builder::new()
            .name("slapbox-plane".to_owned())
            .spawn(move || LocalSet::new().block_on(&runtime, run::serve(queue)))?;
        let (orders, thread) = (Some(orders), Some(thread));
        Ok(Self(Arc::new(Thread { orders, thread })))
    }

    /// Returns how many packets were dropped so far, and why.
    pub async fn drops(&self) -> io::Result<Drops> {
        self.look().await.map(|seen| seen.drops)
    }

    /// Makes one change.
    pub(crate) async fn change(&self, change: Change) -> io::Result<()> {
        self.ask(|done| Order::Change(Box::new(change), done))
            .await?
    }

    /// Returns what there is.
    pub(crate) async fn look(&self) -> io::Result<Seen> {
        self.ask(Order::Look).await
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> io::Result<T> {
        let ended = || io::Error::other("the userspace data plane has ended");
        let (answer, answered) = oneshot::channel();
        let orders = self.0.orders.as_ref().ok_or_else(ended)?;
        orders.send(order(answer)).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())
    }
}

impl Drop for Thread {
    /// Waits for the thread, which ends at once, so that its interfaces are gone afterwards.
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // That it panicked was said by the panic.
            let _ = thread.join();
        }
    }
}
