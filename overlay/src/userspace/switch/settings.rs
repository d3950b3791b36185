//! What a switch is told, and what it says of itself.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::rc::Rc;

use gotatun::noise::Tunn;
use gotatun::x25519;
use ipnet::Ipv6Net;

use super::{Identity, Origin, Switch, Tunnel};
use crate::keys::{PrivateKey, PublicKey};
use crate::userspace::device::Device;
use crate::userspace::gate::Gate;
use crate::userspace::outlet::{Outlet, Way};
use crate::userspace::packet;
use crate::userspace::peers::{Peer, Peers};
use crate::userspace::{SeenLinks, SeenPeer, SeenTunnel};

impl Switch {
    /// Takes the interface of the link network, and forgets all that was there with the one before.
    pub(in crate::userspace) fn set_links(&mut self, device: Rc<Device>, mtu: u32) {
        self.peers = Peers::default();
        self.identity = None;
        self.outlet = None;
        self.links = Some((device, u16::try_from(mtu).unwrap_or(u16::MAX)));
    }

    /// Takes a tunnel.
    pub(in crate::userspace) fn add_tunnel(
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
    pub(in crate::userspace) fn remove(&mut self, name: &str) {
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
    pub(in crate::userspace) fn remove_links(&mut self) {
        self.links = None;
    }

    /// Changes the largest packet of an interface.
    pub(in crate::userspace) fn set_mtu(&mut self, name: &str, mtu: u32) -> io::Result<()> {
        if let Some(tunnel) = self.tunnels.get(name) {
            return tunnel.device.set_mtu(mtu);
        }
        let (device, known) = self.links.as_mut().ok_or(io::ErrorKind::NotFound)?;
        device.set_mtu(mtu)?;
        *known = u16::try_from(mtu).unwrap_or(u16::MAX);
        Ok(())
    }

    /// Becomes who has this key; sessions with another one end.
    pub(in crate::userspace) fn set_key(&mut self, key: PrivateKey) {
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
    pub(in crate::userspace) fn set_outlet(&mut self, outlet: Outlet) {
        self.outlet = Some(outlet);
    }

    /// Takes a peer in, or changes what is behind it.
    pub(in crate::userspace) fn set_peer(
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
    pub(in crate::userspace) fn set_endpoint(&mut self, key: &PublicKey, endpoint: SocketAddr) {
        let place = self.peers.with_key(key);
        if let Some(peer) = place.and_then(|place| self.peers.get(place)) {
            peer.way = Some(Way {
                endpoint,
                source: None,
            });
        }
    }

    /// Forgets a peer, which is deaf and mute from now on.
    pub(in crate::userspace) fn remove_peer(&mut self, key: &PublicKey) {
        self.peers.remove(key);
    }

    /// Returns what there is of the link network.
    pub(in crate::userspace) fn seen_links(&self) -> Option<SeenLinks> {
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
    pub(in crate::userspace) fn seen_tunnels(&self) -> BTreeMap<String, SeenTunnel> {
        let seen = |tunnel: &Tunnel| SeenTunnel {
            index: tunnel.device.index(),
            ends: (tunnel.local, tunnel.remote),
        };
        self.tunnels
            .iter()
            .map(|(name, tunnel)| (name.clone(), seen(tunnel)))
            .collect()
    }
}
