//! The data path: packets of the interfaces to peers, datagrams of peers to the interfaces.
//!
//! It never waits: what a socket or an interface does not take is dropped and counted. Its tasks are in `run`.

mod incoming;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::rc::Rc;

use gotatun::noise::Tunn;
use gotatun::noise::index_table::IndexTable;
use gotatun::packet::{Packet, WgKind};
use gotatun::tun::MtuWatcher;
use gotatun::x25519;
use ipnet::Ipv6Net;

use super::device::{Delivery, Device, Pool, Read, Scratch};
use super::drops::{Drops, Reason};
use super::ecn::Ecn;
use super::gate::Gate;
use super::outlet::{Outlet, Way};
use super::packet::{self, HEADER};
use super::peers::{Peer, Peers, Place};
use super::{SeenLinks, SeenPeer, SeenTunnel};
use crate::keys::{PrivateKey, PublicKey};

/// How many buffers of packets are kept for the next ones: a packet has one only while it is looked at.
const POOL: usize = 16;

/// How many packets to one peer may wait for a session.
const AWAITED: usize = 32;

/// Everything that the data path knows.
pub(super) struct Switch {
    identity: Option<Identity>,
    numbers: IndexTable,
    peers: Peers,
    links: Option<(Rc<Device>, u16)>,
    tunnels: BTreeMap<String, Tunnel>,
    ends: HashMap<(Ipv6Addr, Ipv6Addr), Rc<Device>>,
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
            ends: HashMap::new(),
            outlet: None,
            scratch: Scratch::new(pool.clone()),
            delivery: Delivery::new(),
            pool,
            drops: Drops::default(),
        }
    }

    /// Takes the interface of the link network, and forgets all that was there with the one before.
    pub(super) fn set_links(&mut self, device: Rc<Device>, mtu: u32) {
        self.peers = Peers::default();
        self.identity = None;
        self.outlet = None;
        self.links = Some((device, u16::try_from(mtu).unwrap_or(u16::MAX)));
    }

    /// Takes a tunnel.
    pub(super) fn add_tunnel(
        &mut self,
        name: &str,
        device: Rc<Device>,
        local: Ipv6Addr,
        remote: Ipv6Addr,
    ) -> Origin {
        self.remove(name);
        self.ends.insert((local, remote), Rc::clone(&device));
        self.tunnels.insert(
            name.to_owned(),
            Tunnel {
                device,
                local,
                remote,
            },
        );
        Origin::Tunnel(packet::header(local, remote), remote)
    }

    /// Forgets a tunnel.
    pub(super) fn remove(&mut self, name: &str) {
        let Some(tunnel) = self.tunnels.remove(name) else {
            return;
        };
        let ends = (tunnel.local, tunnel.remote);
        if self
            .ends
            .get(&ends)
            .is_some_and(|there| Rc::ptr_eq(there, &tunnel.device))
        {
            self.ends.remove(&ends);
        }
    }

    /// Forgets the interface of the link network; peers stay, for tunnels go on.
    pub(super) fn remove_links(&mut self) {
        self.links = None;
    }

    /// Changes the largest packet of an interface.
    pub(super) fn set_mtu(&mut self, name: &str, mtu: u32) -> io::Result<()> {
        if let Some(tunnel) = self.tunnels.get(name) {
            return tunnel.device.set_mtu(mtu);
        }
        let (device, known) = self.links.as_mut().ok_or(io::ErrorKind::NotFound)?;
        device.set_mtu(mtu)?;
        *known = u16::try_from(mtu).unwrap_or(u16::MAX);
        Ok(())
    }

    /// Becomes who has this key; sessions with another one end.
    pub(super) fn set_key(&mut self, key: PrivateKey) {
        let secret = x25519::StaticSecret::from(*key.reveal());
        let public = x25519::PublicKey::from(&secret);
        let gate = Gate::new(&public);
        for place in self.peers.all_places() {
            if let Some(peer) = self.peers.get(place) {
                peer.tunn
                    .set_static_private(secret.clone(), public, gate.limiter());
            }
        }
        self.peers.forget_sessions();
        self.identity = Some(Identity {
            key,
            secret,
            public,
            gate,
        });
    }

    /// Takes the socket that others call.
    pub(super) fn set_outlet(&mut self, outlet: Outlet) {
        self.outlet = Some(outlet);
    }

    /// Returns the socket that others call.
    pub(super) fn outlet(&mut self) -> Option<&mut Outlet> {
        self.outlet.as_mut()
    }

    /// Takes a peer in, or changes what is behind it.
    pub(super) fn set_peer(
        &mut self,
        key: PublicKey,
        allowed: Ipv6Net,
        keepalive: u16,
    ) -> io::Result<()> {
        let place = match self.peers.with_key(&key) {
            Some(place) => place,
            None => {
                let peer = self.new_peer(key)?;
                self.peers.add(key, peer)
            }
        };
        self.peers.allow(place, allowed);
        if let Some(peer) = self.peers.get(place) {
            peer.keepalive = keepalive;
            peer.tunn.set_persistent_keepalive(Some(keepalive));
        }
        Ok(())
    }

    fn new_peer(&self, key: PublicKey) -> io::Result<Peer> {
        let identity = self.identity.as_ref();
        let identity =
            identity.ok_or_else(|| io::Error::other("no peer without a key of our own"))?;
        let secret = identity.secret.clone();
        let limiter = identity.gate.limiter();
        Ok(Peer {
            tunn: Tunn::new(
                secret,
                key.0.into(),
                None,
                None,
                self.numbers.clone(),
                limiter,
            ),
            allowed: None,
            keepalive: 0,
            way: None,
            awaited: 0,
        })
    }

    /// Tells where a peer is; one that was removed stays removed.
    pub(super) fn set_endpoint(&mut self, key: &PublicKey, endpoint: SocketAddr) {
        let place = self.peers.with_key(key);
        if let Some(peer) = place.and_then(|place| self.peers.get(place)) {
            peer.way = Some(Way {
                endpoint,
                source: None,
            });
        }
    }

    /// Forgets a peer, which is deaf and mute from now on.
    pub(super) fn remove_peer(&mut self, key: &PublicKey) {
        self.peers.remove(key);
    }

    /// Returns what there is of the link network.
    pub(super) fn seen_links(&self) -> Option<SeenLinks> {
        let (device, _) = self.links.as_ref()?;
        let seen = |peer: &Peer| {
            let (_, sent, received, ..) = peer.tunn.stats();
            SeenPeer {
                allowed: peer.allowed,
                endpoint: peer.way.map(|way| way.endpoint),
                keepalive: peer.keepalive,
                handshake_age: peer.tunn.time_since_last_handshake(),
                traffic: (received as u64, sent as u64),
            }
        };
        Some(SeenLinks {
            index: device.index(),
            private_key: self.identity.as_ref().map(|identity| identity.key.clone()),
            port: self.outlet.as_ref().map_or(0, Outlet::port),
            peers: self
                .peers
                .all()
                .map(|(key, peer)| (key, seen(peer)))
                .collect(),
        })
    }

    /// Returns what tunnels there are.
    pub(super) fn seen_tunnels(&self) -> BTreeMap<String, SeenTunnel> {
        let seen = |tunnel: &Tunnel| SeenTunnel {
            index: tunnel.device.index(),
            ends: (tunnel.local, tunnel.remote),
        };
        self.tunnels
            .iter()
            .map(|(name, tunnel)| (name.clone(), seen(tunnel)))
            .collect()
    }

    /// Returns what was dropped.
    pub(super) fn drops(&self) -> Drops {
        self.drops.clone()
    }

    /// Reads an interface once and puts what it gave to what is about to leave.
    pub(super) fn read(&mut self, device: &Device, origin: Origin) -> Read {
        let room = match origin {
            Origin::Links => 0,
            Origin::Tunnel(..) => HEADER,
        };
        let read = device.read(&mut self.scratch, room);
        match read {
            Read::Packets(count) => {
                for number in 0..count {
                    let (packet, length) = self.scratch.take(number);
                    let sent = self.leave(packet, room + length, origin);
                    self.drops.count_err(sent);
                }
            }
            Read::Refused(reason) => self.drops.count(reason),
            Read::Nothing | Read::Gone => {}
        }
        read
    }

    /// Encrypts a packet of an interface, which is in the first `length` bytes of its buffer, and lets it leave.
    fn leave(&mut self, mut buffer: Packet, length: usize, origin: Origin) -> Result<(), Reason> {
        let content = &mut buffer[..length];
        let to = match origin {
            Origin::Links => packet::destination(content)?,
            Origin::Tunnel(header, remote) => {
                packet::wrap(content, &header)?;
                remote
            }
        };
        let ecn = packet::ecn_of(content);
        pad(&mut buffer, length, self.mtu());
        let place = self.peers.behind(to).ok_or(Reason::NoPeer)?;
        let peer = self.peers.get(place).ok_or(Reason::NoPeer)?;
        let way = peer.way.ok_or(Reason::NoEndpoint)?;
        match peer.tunn.encapsulate_with_session(buffer) {
            Ok(data) => {
                let outlet = self.outlet.as_mut().ok_or(Reason::NotTaken)?;
                let data: Packet = data.into();
                outlet.push(&data, way, ecn)
            }
            Err(buffer) => self.wait(place, &buffer, way),
        }
    }

    /// Has a packet wait for a session with its peer, which is begun.
    fn wait(&mut self, place: Place, packet: &Packet, way: Way) -> Result<(), Reason> {
        let peer = self.peers.get(place).ok_or(Reason::NoPeer)?;
        let (hello, waits) = if peer.awaited < AWAITED {
            peer.awaited += 1;
            // In memory of its own size, so that it keeps no buffer.
            let packet = Packet::copy_from(&packet[..]);
            (peer.tunn.handle_outgoing_packet(packet, None), Ok(()))
        } else {
            let hello = peer.tunn.format_handshake_initiation(false);
            (hello.map(Into::into), Err(Reason::NotTaken))
        };
        match hello {
            Some(hello) => self.send(place, hello, way).and(waits),
            None => waits,
        }
    }

    /// Lets a message leave.
    fn send(&mut self, place: Place, message: WgKind, way: Way) -> Result<(), Reason> {
        self.peers.enter(place, &message);
        let message: Packet = message.into();
        let outlet = self.outlet.as_mut().ok_or(Reason::NotTaken)?;
        outlet.push(&message, way, Ecn::NotCapable)
    }

    /// Lets the packets leave that waited for a session.
    fn send_awaited(&mut self, place: Place, way: Way) {
        let mut mtu = MtuWatcher::new(self.mtu());
        let Some(peer) = self.peers.get(place) else {
            return;
        };
        peer.awaited = 0;
        let messages: Vec<_> = peer.tunn.get_queued_packets(&mut mtu).collect();
        for message in messages {
            let sent = self.send(place, message, way);
            self.drops.count_err(sent);
        }
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

/// Fills a packet up to a multiple of sixteen bytes, if the link network takes that (WireGuard's paper, section 5.4.6).
fn pad(buffer: &mut Packet, length: usize, mtu: u16) {
    let padded = length
        .next_multiple_of(16)
        .min(mtu.into())
        .clamp(length, buffer.len());
    buffer[length..padded].fill(0);
    buffer.truncate(padded);
}
