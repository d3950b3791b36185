//! The data path: packets of the interfaces to peers, datagrams of peers to the interfaces.
//!
//! It never waits: what a socket or an interface does not take is dropped and counted. Its tasks are in `run`.

mod incoming;
mod outgoing;
mod settings;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::rc::Rc;

use gotatun::noise::index_table::IndexTable;
use gotatun::packet::WgKind;
use gotatun::x25519;

use super::device::{Delivery, Device, Pool, Scratch};
use super::drops::Drops;
use super::gate::Gate;
use super::outlet::Outlet;
use super::packet::HEADER;
use super::peers::{Peer, Peers};
use crate::keys::PrivateKey;

/// How many buffers of packets are kept for the next ones: a packet has one only while it is looked at.
const POOL: usize = 16;

/// Everything that the data path knows.
pub(super) struct Switch {
    identity: Option<Identity>,
    numbers: IndexTable,
    peers: Peers,
    links: Option<(Rc<Device>, u16)>,
    tunnels: BTreeMap<String, Tunnel>,
    ends: BTreeMap<(Ipv6Addr, Ipv6Addr), Rc<Device>>,
    outlet: Option<Outlet>,
    scratch: Scratch,
    delivery: Delivery,
    pool: Pool,
    drops: Drops,
}

/// Who the node is.
struct Identity {
    key: PrivateKey,
    secret: x25519::StaticSecret,
    public: x25519::PublicKey,
    gate: Gate,
}

/// A tunnel.
struct Tunnel {
    device: Rc<Device>,
    local: Ipv6Addr,
    remote: Ipv6Addr,
}

/// Where packets of an interface go.
#[derive(Clone, Copy)]
pub(super) enum Origin {
    /// Wherever their destination is.
    Links,
    /// To the end of a tunnel, behind this header.
    Tunnel([u8; HEADER], Ipv6Addr),
}

impl Switch {
    /// Makes one that knows nothing.
    pub(super) fn new() -> Self {
        let pool = Pool::new(POOL);
        Self {
            identity: None,
            numbers: IndexTable::from_os_rng(),
            peers: Peers::default(),
            links: None,
            tunnels: BTreeMap::new(),
            ends: BTreeMap::new(),
            outlet: None,
            scratch: Scratch::new(pool.clone()),
            delivery: Delivery::new(),
            pool,
            drops: Drops::default(),
        }
    }

    /// Returns the socket that others call.
    pub(super) fn outlet(&mut self) -> Option<&mut Outlet> {
        self.outlet.as_mut()
    }

    /// Returns what was dropped.
    pub(super) fn drops(&self) -> Drops {
        self.drops.clone()
    }

    /// Does what is due: handshakes again, signs of life. To be called four times a second.
    pub(super) fn tick(&mut self) {
        self.peers.forget_ended(&self.numbers);
        if let Some(identity) = &mut self.identity {
            identity.gate.tick();
        }
        for place in self.peers.all_places() {
            let Some(peer) = self.peers.get(place) else {
                continue;
            };
            let Some(way) = peer.way else {
                continue;
            };
            if let Some(message) = due(peer) {
                let sent = self.send(place, message, way);
                self.drops.count_err(sent);
            }
        }
        self.settle();
    }

    /// Lets everything leave that was collected.
    pub(super) fn settle(&mut self) {
        let written = self.delivery.flush();
        self.drops.count_err(written);
        if let Some(outlet) = &mut self.outlet {
            let sent = outlet.flush();
            self.drops.count_err(sent);
            if let Some(source) = outlet.take_lost_source() {
                self.peers.forget_source(source);
            }
        }
    }

    fn mtu(&self) -> u16 {
        self.links.as_ref().map_or(u16::MAX, |(_, mtu)| *mtu)
    }
}

/// Returns the message that a peer is due. Who gave up on a peer that must be kept awake begins anew, as the kernel's
/// WireGuard does.
fn due(peer: &mut Peer) -> Option<WgKind> {
    match peer.tunn.update_timers() {
        Ok(message) => message,
        Err(_) => {
            // With the handshake, everything is forgotten that waited for it.
            peer.awaited = 0;
            let begins = peer.keepalive > 0;
            let hello = begins.then(|| peer.tunn.format_handshake_initiation(false));
            hello.flatten().map(Into::into)
        }
    }
}

#[cfg(test)]
mod tests;
