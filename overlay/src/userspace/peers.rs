//! The peers of a node, found by key, by the addresses behind them, and by the number of a session.
//!
//! It sends nothing. As in the kernel, addresses are behind one peer: who got it last.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};

use gotatun::noise::Tunn;
use gotatun::noise::index_table::IndexTable;
use gotatun::packet::WgKind;
use ipnet::Ipv6Net;

use super::outlet::Way;
use crate::keys::PublicKey;

/// The place of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(usize);

/// A peer.
pub(super) struct Peer {
    /// The handshakes and sessions with it.
    pub(super) tunn: Tunn,
    /// The addresses behind it, if no other peer got them.
    pub(super) allowed: Option<Ipv6Net>,
    /// After how many silent seconds to send something; 0 for never.
    pub(super) keepalive: u16,
    /// The way to it, as far as it is known.
    pub(super) way: Option<Way>,
    /// How many packets wait for a session.
    pub(super) awaited: usize,
}

/// All peers.
#[derive(Default)]
pub(super) struct Peers {
    places: Vec<Option<Peer>>,
    keys: BTreeMap<PublicKey, Place>,
    networks: BTreeMap<Ipv6Net, Place>,
    /// How many of them have which prefix length: all the same, where nobody is told otherwise.
    lengths: BTreeMap<u8, usize>,
    sessions: HashMap<u32, Place>,
}

impl Peers {
    /// Returns a peer.
    pub(super) fn get(&mut self, place: Place) -> Option<&mut Peer> {
        self.places.get_mut(place.0)?.as_mut()
    }

    /// Returns where the peer with this key is.
    pub(super) fn with_key(&self, key: &PublicKey) -> Option<Place> {
        self.keys.get(key).copied()
    }

    /// Returns where the peer is that has this address behind it.
    pub(super) fn behind(&self, address: Ipv6Addr) -> Option<Place> {
        let longest_first = self.lengths.keys().rev();
        let networks = longest_first.filter_map(|length| Ipv6Net::new(address, *length).ok());
        let mut places = networks.map(|network| self.networks.get(&network.trunc()));
        places.find_map(|place| place.copied())
    }

    /// Returns where the peer is whose session or handshake has this number.
    pub(super) fn in_session(&self, number: u32) -> Option<Place> {
        self.sessions.get(&number).copied()
    }

    /// Returns every peer in the order of keys.
    pub(super) fn all(&self) -> impl Iterator<Item = (PublicKey, &Peer)> {
        let peer = |place: &Place| self.places[place.0].as_ref();
        self.keys
            .iter()
            .filter_map(move |(key, place)| Some((*key, peer(place)?)))
    }

    /// Returns where all peers are.
    pub(super) fn all_places(&self) -> Vec<Place> {
        self.keys.values().copied().collect()
    }

    /// Takes a peer in, or replaces one.
    pub(super) fn add(&mut self, key: PublicKey, peer: Peer) -> Place {
        self.remove(&key);
        let free = self.places.iter().position(Option::is_none);
        let place = Place(free.unwrap_or(self.places.len()));
        match free {
            Some(free) => self.places[free] = Some(peer),
            None => self.places.push(Some(peer)),
        }
        self.keys.insert(key, place);
        place
    }

    /// Puts addresses behind a peer, in place of those that were.
    pub(super) fn allow(&mut self, place: Place, network: Ipv6Net) {
        let network = network.trunc();
        let before = self
            .get(place)
            .and_then(|peer| peer.allowed.replace(network));
        if let Some(before) = before.filter(|before| *before != network) {
            self.networks.remove(&before);
        }
        let loser = self
            .networks
            .insert(network, place)
            .filter(|loser| *loser != place);
        if let Some(loser) = loser.and_then(|loser| self.get(loser)) {
            loser.allowed = None;
        }
        self.count_lengths();
    }

    fn count_lengths(&mut self) {
        self.lengths.clear();
        for network in self.networks.keys() {
            *self.lengths.entry(network.prefix_len()).or_default() += 1;
        }
    }

    /// Forgets a peer with everything that leads to it.
    pub(super) fn remove(&mut self, key: &PublicKey) {
        let Some(place) = self.keys.remove(key) else {
            return;
        };
        self.sessions.retain(|_, there| *there != place);
        self.networks.retain(|_, there| *there != place);
        self.count_lengths();
        self.places[place.0] = None;
    }

    /// Keeps the number that a message of ours tells the peer to answer with.
    pub(super) fn enter(&mut self, place: Place, message: &WgKind) {
        let number = match message {
            WgKind::HandshakeInit(message) => message.sender_idx.get(),
            WgKind::HandshakeResp(message) => message.sender_idx.get(),
            WgKind::CookieReply(_) | WgKind::Data(_) => return,
        };
        self.sessions.insert(number, place);
    }

    /// Forgets the numbers of sessions that ended.
    pub(super) fn forget_ended(&mut self, numbers: &IndexTable) {
        self.sessions.retain(|number, _| numbers.in_use(*number));
    }

    /// Forgets all sessions, whose keys are void.
    pub(super) fn forget_sessions(&mut self) {
        self.sessions.clear();
    }

    /// Forgets an address of ours that is no longer ours.
    pub(super) fn forget_source(&mut self, source: IpAddr) {
        let ways = self
            .places
            .iter_mut()
            .flatten()
            .filter_map(|peer| peer.way.as_mut());
        ways.filter(|way| way.source == Some(source))
            .for_each(|way| way.source = None);
    }
}
