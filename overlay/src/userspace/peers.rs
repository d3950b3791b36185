//! The peers of a node, found by key, by the addresses behind them, and by the number of a session.
//!
//! It sends nothing. As in the kernel, addresses are behind one peer: who got it last.

use std::collections::{BTreeMap, BTreeSet};
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
    /// Which prefix lengths they have: all the same, where nobody is told otherwise.
    lengths: BTreeSet<u8>,
    sessions: BTreeMap<u32, Place>,
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
        let longest_first = self.lengths.iter().rev();
        let networks = longest_first.filter_map(|length| Ipv6Net::new(address, *length).ok());
        let mut places = networks.map(|network| self.networks.get(&network.trunc()));
        places.find_map(|place| place.copied())
    }

    /// Says whether a peer may send from an address: whether it would be sent what goes there.
    pub(super) fn may_send(&self, place: Place, source: Ipv6Addr) -> bool {
        let peer = self.places.get(place.0).and_then(Option::as_ref);
        let allowed = peer.and_then(|peer| peer.allowed);
        // Where all are of one length, none is within another.
        allowed.is_some_and(|allowed| allowed.contains(&source))
            && (self.lengths.len() == 1 || self.behind(source) == Some(place))
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
        self.note_lengths();
    }

    fn note_lengths(&mut self) {
        let allowed = self.places.iter().flatten().filter_map(|peer| peer.allowed);
        self.lengths = allowed.map(|network| network.prefix_len()).collect();
    }

    /// Forgets a peer with everything that leads to it.
    pub(super) fn remove(&mut self, key: &PublicKey) {
        let Some(place) = self.keys.remove(key) else {
            return;
        };
        self.sessions.retain(|_, there| *there != place);
        self.networks.retain(|_, there| *there != place);
        self.places[place.0] = None;
        self.note_lengths();
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use gotatun::x25519;

    use super::super::gate::Gate;
    use super::*;

    const ONE: PublicKey = PublicKey([1; 32]);
    const OTHER: PublicKey = PublicKey([2; 32]);
    const ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfd12, 0, 0, 0xffff, 0, 0, 0, 1);
    const ELSEWHERE: Ipv6Addr = Ipv6Addr::new(0xfd12, 0, 0, 0xffff, 0, 0, 0, 2);

    fn peer(key: PublicKey, numbers: &IndexTable) -> Peer {
        let secret = x25519::StaticSecret::from([9; 32]);
        let limiter = Gate::new(&x25519::PublicKey::from(&secret)).limiter();
        let tunn = Tunn::new(secret, key.0.into(), None, None, numbers.clone(), limiter);
        Peer {
            tunn,
            allowed: None,
            keepalive: 0,
            way: None,
            awaited: 0,
        }
    }

    fn two() -> (Peers, Place, Place, IndexTable) {
        let numbers = IndexTable::from_os_rng();
        let mut peers = Peers::default();
        let one = peers.add(ONE, peer(ONE, &numbers));
        let other = peers.add(OTHER, peer(OTHER, &numbers));
        (peers, one, other, numbers)
    }

    #[test]
    fn an_address_is_behind_who_got_it_last() {
        let (mut peers, one, other, _) = two();
        peers.allow(one, ADDRESS.into());
        peers.allow(other, ADDRESS.into());
        assert_eq!(peers.behind(ADDRESS), Some(other));
        assert_eq!(peers.get(one).unwrap().allowed, None);
        peers.allow(other, ELSEWHERE.into());
        assert_eq!(peers.behind(ADDRESS), None);
        peers.allow(one, ADDRESS.into());
        assert_eq!(peers.behind(ADDRESS), Some(one));
        assert_eq!(peers.behind(ELSEWHERE), Some(other));
    }

    #[test]
    fn the_longest_prefix_says_who_may_send() {
        let (mut peers, one, other, _) = two();
        let all = "fd12:0:0:ffff::/64".parse().unwrap();
        peers.allow(one, all);
        assert!(peers.may_send(one, ADDRESS) && !peers.may_send(other, ADDRESS));
        peers.allow(other, ADDRESS.into());
        assert_eq!(peers.behind(ADDRESS), Some(other));
        assert_eq!(peers.behind(ELSEWHERE), Some(one));
        assert!(peers.may_send(other, ADDRESS) && !peers.may_send(one, ADDRESS));
        assert!(peers.may_send(one, ELSEWHERE));
        peers.remove(&OTHER);
        assert!(peers.may_send(one, ADDRESS));
    }

    #[test]
    fn nothing_leads_to_a_peer_that_was_removed() {
        let (mut peers, one, other, numbers) = two();
        peers.allow(one, ADDRESS.into());
        let hello = peers
            .get(one)
            .unwrap()
            .tunn
            .format_handshake_initiation(false);
        let hello = WgKind::from(hello.unwrap());
        peers.enter(one, &hello);
        let WgKind::HandshakeInit(hello) = hello else {
            panic!("it begins a handshake");
        };
        let number = hello.sender_idx.get();
        assert_eq!(peers.in_session(number), Some(one));
        peers.forget_ended(&numbers);
        assert_eq!(peers.in_session(number), Some(one), "it lasts");

        peers.remove(&ONE);
        assert_eq!(peers.in_session(number), None);
        assert_eq!((peers.behind(ADDRESS), peers.with_key(&ONE)), (None, None));
        assert!(peers.get(one).is_none() && peers.get(other).is_some());
        // The next one takes the place, and inherits nothing.
        let next = peers.add(ONE, peer(ONE, &numbers));
        assert_eq!(next, one);
        assert_eq!(peers.get(next).unwrap().allowed, None);
        assert_eq!(peers.all().count(), 2);
    }

    #[test]
    fn numbers_of_ended_sessions_are_forgotten() {
        let (mut peers, one, _, numbers) = two();
        let hello = peers
            .get(one)
            .unwrap()
            .tunn
            .format_handshake_initiation(false);
        let hello = hello.unwrap();
        let number = hello.sender_idx.get();
        peers.enter(one, &hello.into());
        peers.get(one).unwrap().tunn.reset();
        peers.forget_ended(&numbers);
        assert_eq!(peers.in_session(number), None);
    }

    #[test]
    fn an_address_of_ours_that_is_gone_is_used_no_more() {
        let (mut peers, one, other, _) = two();
        let way = |source: [u8; 4]| Way {
            endpoint: SocketAddr::from(([192, 0, 2, 9], 1)),
            source: Some(source.into()),
        };
        peers.get(one).unwrap().way = Some(way([192, 0, 2, 1]));
        peers.get(other).unwrap().way = Some(way([192, 0, 2, 2]));
        peers.forget_source([192, 0, 2, 1].into());
        assert_eq!(peers.get(one).unwrap().way.unwrap().source, None);
        assert_eq!(peers.get(other).unwrap().way, Some(way([192, 0, 2, 2])));
    }
}
