//! The tunnels of a node as they live: what the mesh decides becomes datagrams, and what comes from the other ends becomes news for the mesh.
//!
//! It does no I/O and has no clock: datagrams and moments come in, datagrams and the set of tunnels come out.
//!
//! Both ends of a tunnel beat twice a second, and each beat says what its sender last heard. An end that misses a beat asks more often, and
//! to be answered at once; if that stays without an answer the tunnel is down, a good second after the last beat, whatever else was lost. What an
//! end wants (to drain, to keep) is in each beat, so that nothing depends on one datagram.

mod link;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::talk::{Beat, Message};
use crate::mesh::{Action, Input, Member, Mesh, Moment, Settings, Why};
use link::{Due, Link};
pub(super) use link::{Tunnel, Way};

/// How often a question is repeated that has no answer.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// For how long somebody is greeted who calls from behind a NAT, and how long until they may be again.
const GREET: Duration = Duration::from_secs(3);
/// How often it is told at which address somebody is seen.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// Who is near, and who shall be: for those who look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Nearby {
    /// The tunnels.
    pub(super) tunnels: BTreeMap<Member, Tunnel>,
    /// Who is asked for one, and for how long they have been.
    pub(super) asked: BTreeMap<Member, Duration>,
    /// Who is not asked again for so long, and why.
    pub(super) resting: BTreeMap<Member, (Duration, Why)>,
    /// How many tunnels have come up, and how many of them were lost, since the node began.
    pub(super) made: u64,
    pub(super) lost: u64,
}

/// Who is asked for a tunnel: since when, and when again.
#[derive(Clone, Copy, Debug)]
struct Asking {
    since: Moment,
    again: Moment,
}

/// A node's tunnels, and whom it asks for one.
#[derive(Debug)]
pub(super) struct Neighbours {
    mesh: Mesh,
    links: BTreeMap<Member, Link>,
    asks: BTreeMap<Member, Asking>,
    outbox: VecDeque<(Member, Message)>,
    /// Who is told that we reach nobody else.
    needed: Option<Member>,
    /// How many destinations are reached by each tunnel.
    uses: BTreeMap<Member, u64>,
    known: Arc<[Member]>,
    /// Who called from behind a NAT, and until when they are greeted.
    greeted: BTreeMap<Member, Moment>,
    /// At which address neighbours see us.
    seen: BTreeMap<Member, SocketAddr>,
    /// Whether tunnels came, went, or shall be used otherwise, since somebody asked.
    moved: bool,
    /// How many tunnels have come up, and how many of them were lost.
    made: u64,
    lost: u64,
}

impl Neighbours {
    /// Begins without a tunnel; the same seed and the same inputs give the same outcome.
    pub(super) fn new(me: Member, settings: Settings, seed: u64, now: Moment) -> Self {
        Self {
            mesh: Mesh::new(me, settings, seed, now),
            links: BTreeMap::new(),
            asks: BTreeMap::new(),
            outbox: VecDeque::new(),
            needed: None,
            uses: BTreeMap::new(),
            known: Arc::from([]),
            greeted: BTreeMap::new(),
            seen: BTreeMap::new(),
            moved: false,
            made: 0,
            lost: 0,
        }
    }

    /// Takes who there is, and who of them can be reached from anywhere; both in ascending order.
    pub(super) fn know(&mut self, now: Moment, known: Arc<[Member]>, public: Arc<[Member]>) {
        self.known = Arc::clone(&known);
        self.tell(now, Input::Public(public));
        self.tell(now, Input::Known(known));
    }

    /// Takes at which address each neighbour is seen, and tells them.
    pub(super) fn see(&mut self, now: Moment, at: &BTreeMap<Member, SocketAddr>) {
        for (peer, link) in &mut self.links {
            let told = at.get(peer).filter(|at| link.shall_tell(now, **at));
            if let Some(at) = told {
                self.outbox.push_back((*peer, Message::Seen(*at)));
            }
        }
    }

    /// Returns at which addresses neighbours see this node: of each family the one that most do.
    pub(super) fn seen_at(&self) -> Vec<SocketAddr> {
        let most = |is_meant: fn(&SocketAddr) -> bool| {
            let mut counts: BTreeMap<SocketAddr, usize> = BTreeMap::new();
            for at in self.seen.values().filter(|at| is_meant(at)) {
                *counts.entry(*at).or_default() += 1;
            }
            let most = counts
                .into_iter()
                .max_by_key(|(at, count)| (*count, Reverse(*at)));
            most.map(|(at, _)| at)
        };
        let families = [most(SocketAddr::is_ipv4), most(SocketAddr::is_ipv6)];
        families.into_iter().flatten().collect()
    }

    /// Takes that somebody is to be found elsewhere than before: who was looked for in vain may be looked for again.
    pub(super) fn hear_of_move(&mut self, now: Moment, peer: Member) {
        self.tell(now, Input::Moved(peer));
    }

    /// Has nothing to do with somebody for a while who does what nobody may.
    pub(super) fn distrust(&mut self, now: Moment, peer: Member) {
        self.tell(now, Input::Distrusted(peer));
    }

    /// Takes a call from behind a NAT: where both ends are, both must send before either is heard.
    pub(super) fn hear_call(&mut self, now: Moment, from: Member) {
        let is_near = self.links.contains_key(&from) || self.asks.contains_key(&from);
        let is_known = self.known.binary_search(&from).is_ok();
        if is_known && !is_near && !self.greeted.contains_key(&from) {
            self.greeted.insert(from, now + GREET);
            self.moved = true;
            self.outbox.push_back((from, Message::Greet));
        }
    }

    /// Takes how many destinations are reached by each tunnel.
    pub(super) fn weigh(&mut self, now: Moment, uses: BTreeMap<Member, u64>) {
        self.uses = uses;
        let uses = &self.uses;
        let mut unused = Vec::new();
        for (peer, link) in &mut self.links {
            link.weigh(uses.get(peer).copied().unwrap_or_default());
            if link.is_unused() {
                unused.push(*peer);
            }
        }
        for peer in unused {
            self.tell(now, Input::Unused(peer));
        }
    }

    /// Has somebody asked for a tunnel before all others, and told whether we reach nobody else.
    pub(super) fn seek(&mut self, now: Moment, peer: Member, in_need: bool) {
        self.needed = in_need.then_some(peer);
        self.tell(now, Input::Sought { peer, in_need });
    }

    /// Takes a datagram.
    pub(super) fn receive(&mut self, now: Moment, from: Member, message: Message) {
        match message {
            Message::Ask { in_need: false } => self.tell(now, Input::Asked(from)),
            Message::Ask { in_need: true } => self.tell(now, Input::AskedInNeed(from)),
            Message::Answer(answer) => self.tell(now, Input::Answered(from, answer)),
            Message::Close => self.tell(now, Input::Closed(from)),
            Message::Beat(beat) => self.hear(now, from, beat),
            Message::Seen(at) => self.hear_of_self(from, at),
            // Calls come by another way, and to be greeted is enough.
            Message::Greet | Message::Call(_) => {}
        }
    }

    fn hear(&mut self, now: Moment, from: Member, beat: Beat) {
        let Some(link) = self.links.get_mut(&from) else {
            // They have a tunnel that we do not: we began anew. Who was asked just now may have been faster with it than with the answer.
            if !self.asks.contains_key(&from) {
                self.outbox.push_back((from, Message::Close));
            }
            return;
        };
        let (was_heard, drained) = (link.is_heard(), link.theirs.drains);
        link.hear(now, beat);
        let is_heard = link.is_heard();
        let is_unused = link.is_unused();
        if beat.urgent {
            let answer = link.beat(now, false);
            self.outbox.push_back((from, Message::Beat(answer)));
        }
        if is_heard && !was_heard {
            self.moved = true;
            self.made += 1;
            self.tell(now, Input::Up(from));
        }
        if beat.drains != drained {
            self.moved = true;
            let input = match beat.drains {
                true => Input::Drains(from),
                false => Input::Keeps(from),
            };
            self.tell(now, input);
        }
        if is_unused {
            self.tell(now, Input::Unused(from));
        }
    }

    fn hear_of_self(&mut self, from: Member, at: SocketAddr) {
        let ip = at.ip();
        let is_good = at.port() != 0 && !ip.is_unspecified() && !ip.is_multicast();
        if is_good && self.links.contains_key(&from) {
            self.seen.insert(from, at);
        }
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Moment) {
        let mut down = Vec::new();
        for (peer, link) in &mut self.links {
            self.moved |= link.has_turned(now);
            match link.due(now) {
                Due::Nothing => {}
                Due::Beat { urgent } => {
                    let beat = link.beat(now, urgent);
                    self.outbox.push_back((*peer, Message::Beat(beat)));
                }
                Due::Down => down.push(*peer),
            }
        }
        for peer in down {
            self.lost += 1;
            self.tell(now, Input::Down(peer));
        }
        for (peer, asking) in &mut self.asks {
            if asking.again <= now {
                asking.again = now + ASK_AGAIN;
                let in_need = self.needed == Some(*peer);
                self.outbox.push_back((*peer, Message::Ask { in_need }));
            }
        }
        self.greeted.retain(|_, until| *until > now);
        if self.mesh.poll_timeout() <= now {
            self.mesh.handle_timeout(now);
            self.act(now);
        }
    }

    /// Returns when `handle_timeout` shall be called at the latest.
    pub(super) fn poll_timeout(&self) -> Moment {
        let links = self.links.values().map(Link::next);
        let asks = self.asks.values().map(|asking| asking.again);
        let greeted = self.greeted.values().copied();
        let first = links.chain(asks).chain(greeted).min();
        let mesh = self.mesh.poll_timeout();
        first.map_or(mesh, |first| first.min(mesh))
    }

    /// Returns what to send next, until there is nothing.
    pub(super) fn poll_send(&mut self) -> Option<(Member, Message)> {
        self.outbox.pop_front()
    }

    /// Says whether tunnels came, went, or shall be used otherwise, since this was asked last.
    pub(super) fn has_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// Returns the tunnels that shall be there.
    pub(super) fn tunnels(&self, now: Moment) -> impl Iterator<Item = (Member, Tunnel)> {
        self.links
            .iter()
            .map(move |(peer, link)| (*peer, link.tunnel(now)))
    }

    /// Returns who is near, and who shall be.
    pub(super) fn nearby(&self, now: Moment) -> Nearby {
        let asked = self.asks.iter();
        let resting = self.mesh.resting();
        Nearby {
            tunnels: self.tunnels(now).collect(),
            asked: asked
                .map(|(peer, asking)| (*peer, now.saturating_sub(asking.since)))
                .collect(),
            resting: resting
                .map(|(peer, until, why)| (peer, (until.saturating_sub(now), why)))
                .collect(),
            made: self.made,
            lost: self.lost,
        }
    }

    /// Returns who must be reached: to whom there is a tunnel, who is asked for one, and who called.
    pub(super) fn wanted(&self) -> impl Iterator<Item = Member> {
        let near = self.links.keys().chain(self.asks.keys());
        near.chain(self.greeted.keys()).copied()
    }

    /// Whether some tunnel shall be left by all who can.
    pub(super) fn is_draining(&self) -> bool {
        self.links.values().any(Link::is_drained)
    }

    fn tell(&mut self, now: Moment, input: Input) {
        self.mesh.handle_input(now, input);
        self.act(now);
    }

    /// Carries out what the mesh decided.
    fn act(&mut self, now: Moment) {
        while let Some(action) = self.mesh.poll_action() {
            match action {
                Action::Ask(peer) => {
                    let (since, again) = (now, now + ASK_AGAIN);
                    self.asks.insert(peer, Asking { since, again });
                    self.moved = true;
                    let in_need = self.needed == Some(peer);
                    self.outbox.push_back((peer, Message::Ask { in_need }));
                }
                Action::Answer(peer, answer) => {
                    self.outbox.push_back((peer, Message::Answer(answer)));
                }
                Action::Open(peer) => {
                    self.links.insert(peer, Link::new(now));
                    self.moved = true;
                }
                Action::Drain(peer) => self.drain(now, peer, true),
                Action::Keep(peer) => self.drain(now, peer, false),
                Action::Close(peer) => {
                    self.moved |= self.links.remove(&peer).is_some();
                    self.seen.remove(&peer);
                    self.outbox.push_back((peer, Message::Close));
                }
                Action::Weigh => {
                    let uses = self.uses.clone();
                    self.mesh.handle_input(now, Input::Weighed(uses));
                }
            }
        }
        let mesh = &self.mesh;
        self.asks
            .retain(|peer, _| mesh.asked().any(|it| it == *peer));
    }

    fn drain(&mut self, now: Moment, peer: Member, drains: bool) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.drain(now, drains);
            self.moved = true;
        }
    }
}
