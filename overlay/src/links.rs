//! The links of a node: one WireGuard interface, tunnels over it, addresses and routes.
//!
//! The kernel carries their packets, or a plane of this process that looks the same from both sides.
//!
//! WireGuard knows the ends of tunnels of each peer and no more, so that routing is left to Babel on these. `plan` says
//! what is missing or left over; only `observe`, `apply` and `reconcile` talk to the kernel.

mod apply;
mod change;
mod observe;
mod plan;
mod plane;
mod wireguard;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use ipnet::Ipv6Net;

use crate::keys::{PrivateKey, PublicKey};
use crate::netlink::{self, Netlink};

pub use apply::{Failure, Refusal};
pub(crate) use change::Change;
pub use plan::{Action, plan};
pub use plane::{Lack, Plane};

/// The one WireGuard interface of a node.
pub const WIREGUARD: &str = "slapwg0";
/// The interface that carries the node's own address.
pub const LOOPBACK: &str = "lo";
/// A handshake older than this means that nothing passes: WireGuard makes one every two minutes.
pub const SILENCE: Duration = Duration::from_secs(180);

/// Returns the name of the tunnel to the peer with this index in the network.
pub fn tunnel_name(index: u32) -> String {
    format!("slt{index:x}")
}

/// Returns the name of the spare tunnel to that peer: routes by it are taken for lack of others only.
pub fn spare_name(index: u32) -> String {
    format!("sls{index:x}")
}

fn is_tunnel_name(name: &str) -> bool {
    is_named(name, "slt", tunnel_name) || is_spare_name(name)
}

pub(crate) fn is_spare_name(name: &str) -> bool {
    is_named(name, "sls", spare_name)
}

fn is_named(name: &str, prefix: &str, rule: fn(u32) -> String) -> bool {
    let index = name.strip_prefix(prefix);
    let index = index.and_then(|index| u32::from_str_radix(index, 16).ok());
    index.is_some_and(|index| rule(index) == name)
}

/// What links a node shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// The WireGuard interface.
    pub wireguard: WireGuard,
    /// Tunnels by name.
    pub tunnels: BTreeMap<String, Tunnel>,
    /// Addresses by interface.
    pub addresses: BTreeSet<(String, Ipv6Net)>,
    /// Routes.
    pub routes: BTreeSet<Route>,
}

/// What the WireGuard interface shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireGuard {
    /// The node's key.
    pub private_key: PrivateKey,
    /// The UDP port that it listens on.
    pub port: u16,
    /// The largest packet that it takes.
    pub mtu: u32,
    /// Whom it talks to.
    pub peers: BTreeMap<PublicKey, Peer>,
}

/// Whom the WireGuard interface talks to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The addresses behind it: the ends of its tunnels.
    pub allowed: Ipv6Net,
    /// Where to send the first packet, if that is known; later WireGuard follows the peer.
    pub endpoint: Option<SocketAddr>,
    /// Whether it is sent there though WireGuard has heard it somewhere else of late.
    pub moves: bool,
    /// After how many silent seconds to send something; 0 for never.
    pub keepalive: u16,
}

/// A tunnel of IPv6 in IPv6 over the WireGuard interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Our end.
    pub local: Ipv6Addr,
    /// The peer's end.
    pub remote: Ipv6Addr,
    /// The largest packet that it takes.
    pub mtu: u32,
}

/// A route of the main table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// Through an interface.
    Through {
        /// Where to.
        to: Ipv6Net,
        /// The interface's name.
        link: String,
    },
    /// Nowhere, and the sender is told; what others announce below it is more specific and wins.
    Unreachable(Ipv6Net),
}

/// What links there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The WireGuard interface, if there is one.
    pub wireguard: Option<ObservedWireGuard>,
    /// Tunnels with a name of ours.
    pub tunnels: BTreeMap<String, ObservedTunnel>,
    /// Interfaces that have a name of ours and are something else.
    pub impostors: BTreeSet<String>,
    /// Addresses that we made, and all on interfaces of ours.
    pub addresses: BTreeSet<(String, Ipv6Net)>,
    /// Routes that we made.
    pub routes: BTreeSet<Route>,
    /// Where Babel routes to, and through which of our interfaces.
    pub babel: BTreeMap<Ipv6Net, String>,
}

/// The WireGuard interface as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedWireGuard {
    /// Whether it is set up.
    pub up: bool,
    /// The largest packet that it takes.
    pub mtu: u32,
    /// Its key, if it has one.
    pub private_key: Option<PrivateKey>,
    /// The UDP port that it listens on.
    pub port: u16,
    /// Whom it talks to.
    pub peers: BTreeMap<PublicKey, ObservedPeer>,
}

/// A peer as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedPeer {
    /// The addresses behind it.
    pub allowed: BTreeSet<Ipv6Net>,
    /// Where it was last heard, or where it is sent to.
    pub endpoint: Option<SocketAddr>,
    /// After how many silent seconds something is sent.
    pub keepalive: u16,
    /// How long ago both proved who they are.
    pub handshake_age: Option<Duration>,
    /// Bytes received and sent.
    pub traffic: (u64, u64),
}

impl Observed {
    /// Returns what WireGuard knows of a peer, if it has it.
    pub fn peer(&self, key: &PublicKey) -> Option<&ObservedPeer> {
        self.wireguard.as_ref()?.peers.get(key)
    }
}

impl ObservedPeer {
    /// Says whether packets pass, as far as WireGuard knows.
    pub fn is_alive(&self) -> bool {
        self.handshake_age.is_some_and(|age| age < SILENCE)
    }
}

/// A tunnel as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedTunnel {
    /// Our end and the peer's.
    pub ends: Option<(Ipv6Addr, Ipv6Addr)>,
    /// The largest packet that it takes.
    pub mtu: u32,
    /// Whether it is set up.
    pub up: bool,
}

/// What `reconcile` did and what there is then.
#[derive(Debug)]
pub struct Outcome {
    /// How many things were not as desired and were changed.
    pub changed: usize,
    /// What could not be changed; the rest was.
    pub failures: Vec<Failure>,
    /// What was there, observed before the changes.
    pub observed: Observed,
}

/// What keeps `reconcile` from doing anything at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel's tables cannot be read.
    #[error("failed to observe the node's links")]
    Observe(#[source] netlink::Error),
    /// The state of WireGuard cannot be read.
    #[error("failed to observe WireGuard")]
    ObserveWireGuard(#[source] Refusal),
    /// The kernel does not say what it can do.
    #[error("failed to find out whether the kernel has WireGuard and tunnels")]
    Try(#[source] io::Error),
    /// No data plane of our own.
    #[error("failed to start the userspace data plane")]
    Start(#[source] io::Error),
}

/// Makes the machine have the desired links and no others of ours; `now` tells how old handshakes are.
///
/// Interfaces, addresses and routes of others stay. Links that another plane carries are replaced.
pub async fn reconcile(
    plane: &Plane,
    desired: &Desired,
    now: SystemTime,
) -> Result<Outcome, Error> {
    let netlink = Netlink::open().map_err(Error::Observe)?;
    let (observed, mut indexes) = observe::observe(&netlink, plane, now).await?;
    let mut outcome = Outcome {
        changed: 0,
        failures: Vec::new(),
        observed,
    };
    let actions = plan(desired, &outcome.observed);
    apply::apply(&netlink, plane, &mut indexes, actions, &mut outcome).await;
    Ok(outcome)
}

/// Returns `seen` with what changes by itself as it is now: what WireGuard knows of its peers, and where Babel routes to.
///
/// The whole is hundreds of addresses and interfaces on a node with partitions; this is a few messages.
pub async fn look_again(
    plane: &Plane,
    seen: &Observed,
    now: SystemTime,
) -> Result<Observed, Error> {
    let netlink = Netlink::open().map_err(Error::Observe)?;
    observe::observe_again(&netlink, plane, seen, now).await
}

/// Returns what links there are.
pub async fn look(plane: &Plane, now: SystemTime) -> Result<Observed, Error> {
    let netlink = Netlink::open().map_err(Error::Observe)?;
    observe::observe(&netlink, plane, now)
        .await
        .map(|(observed, _)| observed)
}
