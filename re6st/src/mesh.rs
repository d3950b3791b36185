//! Decides with whom a node has tunnels: a random graph of bounded degree, of which little used edges are replaced by others now and then.
//!
//! It does no I/O, has no clock and no source of chance of its own: what happens comes in by `handle_input`, time by `handle_timeout`, and
//! what shall be done is taken out by `poll_action`; the same seed and the same inputs give the same actions. What it knows of the network is
//! who else there is; ways, delays and keys are for others.
//!
//! Two nodes agree on a tunnel by one question and one answer. A tunnel is its asker's: who has as many of their own as they shall asks
//! nobody, who has as many in all as they may accepts nobody, and between both is room for newcomers. A tunnel that shall go is drained
//! first: nobody sends by it any more, and if somebody must, for it is the only way, it stays.

mod links;
mod settings;
pub mod simulation;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use links::{Link, State};
pub use settings::Settings;

/// A node of the network, by its number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member(pub u32);

/// A moment, as the time since some beginning.
pub type Moment = Duration;

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Who there is, in ascending order; the node itself may be among them. In place of who there was before.
    Known(Arc<[Member]>),
    /// Who of them can be reached from anywhere, in ascending order.
    Public(Arc<[Member]>),
    /// Somebody asks for a tunnel.
    Asked(Member),
    /// Somebody asks for a tunnel who reaches nobody else.
    AskedInNeed(Member),
    /// There is a way to somebody by which they were not asked yet.
    Sought {
        peer: Member,
        /// No other way leads to where this one does, so that another tunnel may go for it.
        in_need: bool,
    },
    /// Whom we asked has answered.
    Answered(Member, Answer),
    /// A tunnel carries what is sent.
    Up(Member),
    /// A tunnel carries nothing any more, or never did.
    Down(Member),
    /// Whose tunnel it is wants to close it, and nobody shall send by it.
    Drains(Member),
    /// They have changed their mind.
    Keeps(Member),
    /// It is closed at the other end.
    Closed(Member),
    /// Neither end sends by a tunnel that is being drained.
    Unused(Member),
    /// How much each tunnel is used: how many destinations are reached by it.
    Weighed(BTreeMap<Member, u64>),
    /// Much is sent to somebody who is several hops away.
    Busy(Member),
    /// Somebody is to be found elsewhere than before.
    Moved(Member),
    /// Somebody does what nobody may.
    Distrusted(Member),
}

/// What is answered to who asks for a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Accepted = 1,
    /// There is no room.
    Full = 2,
    /// We have asked them ourselves, and that question counts.
    Crossed = 3,
}

/// Why somebody is not asked for a tunnel for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// They have no room for another.
    Full,
    /// They did not answer, or nothing came through the tunnel.
    Silent,
    /// There was one, and it carried nothing any more.
    Lost,
    /// There was one, and they have closed it.
    Closed,
    /// There was one, and we have closed it, to make room for others.
    Replaced,
    /// They did what nobody may.
    Distrusted,
}

/// What shall be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask somebody for a tunnel.
    Ask(Member),
    Answer(Member, Answer),
    /// Make our end of a tunnel.
    Open(Member),
    /// Have nobody send by a tunnel who has another way, at both ends.
    Drain(Member),
    /// Have a tunnel be used again, at both ends.
    Keep(Member),
    /// Take our end of a tunnel down, and tell the other end.
    Close(Member),
    /// Say how much each tunnel is used.
    Weigh,
}

/// The tunnels of one node.
#[derive(Debug)]
pub struct Mesh {
    me: Member,
    settings: Settings,
    chance: ChaCha8Rng,
    known: Arc<[Member]>,
    public: Arc<[Member]>,
    links: BTreeMap<Member, Link>,
    /// Who was asked in vain, until when nobody asks them again, and why.
    resting: BTreeMap<Member, (Moment, Why)>,
    /// Who does what nobody may, and until when there is no tunnel with them.
    distrusted: BTreeMap<Member, Moment>,
    /// To whom there shall be a tunnel before anybody else.
    wishes: VecDeque<Member>,
    next_ask: Moment,
    next_refresh: Moment,
    /// Questions in vain since the last tunnel.
    in_vain: u32,
    actions: VecDeque<Action>,
}

/// How often chance picks before everybody is looked at.
const PICKS: usize = 16;
/// Wishes that are remembered.
const MOST_WISHES: usize = 3;

impl Mesh {
    /// Begins without a tunnel.
    pub fn new(me: Member, settings: Settings, seed: u64, now: Moment) -> Self {
        let mut mesh = Self {
            me,
            settings,
            chance: ChaCha8Rng::seed_from_u64(seed),
            known: Arc::from([]),
            public: Arc::from([]),
            links: BTreeMap::new(),
            resting: BTreeMap::new(),
            distrusted: BTreeMap::new(),
            wishes: VecDeque::new(),
            next_ask: now,
            next_refresh: now,
            in_vain: 0,
            actions: VecDeque::new(),
        };
        mesh.next_refresh = now + mesh.around(mesh.settings.refresh);
        mesh
    }

    /// Takes other settings from now on. No tunnel goes for that; there are fewer or more by and by.
    pub fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Returns who is asked for a tunnel, and has not answered yet.
    pub fn asked(&self) -> impl Iterator<Item = Member> {
        let links = self.links.iter();
        links
            .filter(|(_, link)| matches!(link.state, State::Asking { .. }))
            .map(|(peer, _)| *peer)
    }

    /// Returns whom there is a tunnel to, and whether it carries something.
    pub fn tunnels(&self) -> impl Iterator<Item = (Member, bool)> {
        let links = self.links.iter();
        links.filter_map(|(peer, link)| Some((*peer, link.state.carries()?)))
    }

    /// Returns who is not asked for a tunnel, until when, and why.
    pub fn resting(&self) -> impl Iterator<Item = (Member, Moment, Why)> {
        let resting = self.resting.iter();
        let resting = resting.map(|(peer, (until, why))| (*peer, *until, *why));
        let distrusted = self.distrusted.iter();
        resting.chain(distrusted.map(|(peer, until)| (*peer, *until, Why::Distrusted)))
    }

    /// Takes what has happened.
    pub fn handle_input(&mut self, now: Moment, input: Input) {
        match input {
            Input::Known(known) => self.hear_of(now, known),
            Input::Public(public) => self.public = public,
            Input::Asked(peer) => self.hear_question(now, peer, self.settings.in_all),
            Input::AskedInNeed(peer) => self.hear_question(now, peer, self.settings.in_need),
            Input::Sought { peer, in_need } => self.seek(now, peer, in_need),
            Input::Answered(peer, answer) => self.hear_answer(now, peer, answer),
            Input::Up(peer) => self.comes_up(now, peer),
            Input::Down(peer) => self.goes_down(now, peer),
            Input::Closed(peer) => self.is_closed(now, peer),
            Input::Drains(peer) => self.is_drained(peer),
            Input::Keeps(peer) => self.is_kept(now, peer),
            Input::Unused(peer) => self.is_unused(now, peer),
            Input::Weighed(use_of) => self.replace_one(now, &use_of),
            Input::Busy(peer) => self.wish(now, peer, true),
            Input::Moved(peer) => self.look_again_for(now, peer),
            Input::Distrusted(peer) => self.distrust(now, peer),
        }
        self.fill(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Moment) {
        let due: Vec<_> = self.due(now).collect();
        for peer in due {
            self.runs_out(now, peer);
        }
        self.resting.retain(|_, (until, _)| *until > now);
        self.distrusted.retain(|_, until| *until > now);
        if self.next_refresh <= now {
            self.next_refresh = now + self.around(self.settings.refresh);
            if self.is_settled() {
                self.actions.push_back(Action::Weigh);
            }
        }
        self.fill(now);
    }

    /// Returns when `handle_timeout` shall be called at the latest.
    pub fn poll_timeout(&self) -> Moment {
        let deadlines = self.links.values().filter_map(|link| link.state.until());
        let ask = self.wants_more().then_some(self.next_ask);
        let all = deadlines.chain(ask).chain([self.next_refresh]);
        all.min().unwrap_or(self.next_refresh)
    }

    /// Returns what to do next, until there is nothing.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn hear_of(&mut self, now: Moment, known: Arc<[Member]>) {
        let was_alone = self.known.len() < 2;
        self.known = known;
        self.part_from_strangers();
        if was_alone {
            // Where thousands begin at once, they do not all ask at once.
            let spread = self.settings.spread * u32::try_from(self.known.len()).unwrap_or(u32::MAX);
            let spread = spread.min(self.settings.longest_spread);
            self.next_ask =
                now + self.settings.heard_of_after + spread.mul_f64(self.chance.random());
        }
    }

    /// Asks for tunnels, if there shall be more.
    fn fill(&mut self, now: Moment) {
        while self.wants_more() && self.next_ask <= now {
            let Some(peer) = self.choose() else {
                self.next_ask = now + self.pause().max(self.settings.pause);
                return;
            };
            let until = now + self.settings.answer_within;
            self.links.insert(peer, Link::asking(until));
            self.actions.push_back(Action::Ask(peer));
            if self.is_connected() || self.asked().count() >= self.settings.asks_at_once {
                self.next_ask = now + self.pause();
            }
        }
    }

    fn wants_more(&self) -> bool {
        let own = self.own();
        let in_all = self.links.len();
        let has_room = own < self.settings.own && in_all < self.settings.in_all;
        has_room && (in_all < self.settings.wanted || !self.wishes.is_empty())
    }

    /// Returns whom to ask: somebody wished for, or else anybody.
    fn choose(&mut self) -> Option<Member> {
        while let Some(peer) = self.wishes.pop_front() {
            if self.is_free(peer) {
                return Some(peer);
            }
        }
        if self.is_connected() {
            return self.anybody(&Arc::clone(&self.known));
        }
        // Who is alone may be in a place from which few can be reached, and would rather ask somebody again than nobody.
        let public = Arc::clone(&self.public);
        let near_public = self.chance.random::<bool>().then(|| self.anybody(&public));
        let found = near_public.flatten();
        let found = found.or_else(|| self.anybody(&Arc::clone(&self.known)));
        found.or_else(|| {
            self.resting.clear();
            self.anybody(&Arc::clone(&self.known))
        })
    }

    /// Returns any of these who may be asked.
    fn anybody(&mut self, of: &[Member]) -> Option<Member> {
        if of.is_empty() {
            return None;
        }
        for _ in 0..PICKS {
            let peer = of[self.chance.random_range(0..of.len())];
            if self.is_free(peer) {
                return Some(peer);
            }
        }
        let free: Vec<Member> = of.iter().copied().filter(|it| self.is_free(*it)).collect();
        (!free.is_empty()).then(|| free[self.chance.random_range(0..free.len())])
    }

    fn is_free(&self, peer: Member) -> bool {
        let is_bad = self.resting.contains_key(&peer) || self.distrusted.contains_key(&peer);
        peer != self.me && !self.links.contains_key(&peer) && !is_bad
    }

    /// Returns how long to wait before the next question: longer the more of them were in vain.
    fn pause(&mut self) -> Duration {
        let doubled = self.settings.pause * (1 << self.in_vain.min(16));
        let longest = match self.is_connected() {
            true => self.settings.longest_pause,
            false => self.settings.longest_pause_alone,
        };
        self.around(doubled.min(longest))
    }

    /// Returns a time between half of it and half more, so that nodes do not keep step.
    fn around(&mut self, time: Duration) -> Duration {
        time.mul_f64(self.chance.random_range(0.5..1.5))
    }

    /// Notes that there shall be a tunnel to somebody, and makes room for it if it shall.
    fn wish(&mut self, now: Moment, peer: Member, makes_room: bool) {
        let is_new = self.is_free(peer) && !self.wishes.contains(&peer);
        if !is_new || self.wishes.len() >= MOST_WISHES {
            return;
        }
        self.wishes.push_back(peer);
        let is_draining = self.links.values().any(Link::is_draining);
        if makes_room && self.own() >= self.settings.own && !is_draining {
            self.actions.push_back(Action::Weigh);
        }
        self.next_ask = self.next_ask.min(now + self.settings.pause);
    }

    /// Asks somebody before anybody else, even if that was in vain before.
    fn seek(&mut self, now: Moment, peer: Member, in_need: bool) {
        self.resting.remove(&peer);
        self.wish(now, peer, in_need);
    }

    /// Begins to drain the least used of our own tunnels that are no longer new.
    fn replace_one(&mut self, now: Moment, use_of: &BTreeMap<Member, u64>) {
        if self.links.values().any(Link::is_draining) || !self.is_settled() {
            return;
        }
        let own = self.links.iter().filter(|(_, link)| link.may_go(now));
        let used = |peer: &Member| use_of.get(peer).copied().unwrap_or_default();
        let Some(peer) = own.map(|(peer, _)| *peer).min_by_key(|it| (used(it), *it)) else {
            return;
        };
        let until = now + self.settings.drain_within;
        if let Some(link) = self.links.get_mut(&peer) {
            link.state = State::Draining { until };
        }
        self.actions.push_back(Action::Drain(peer));
    }

    /// Whether one tunnel less does no harm, since there are as many as there shall be.
    fn is_settled(&self) -> bool {
        let up = self.tunnels().filter(|(_, carries)| *carries).count();
        let others = self.known.len().saturating_sub(1);
        up > 0 && (up >= self.settings.wanted.min(others) || self.own() >= self.settings.own)
    }

    fn is_connected(&self) -> bool {
        self.tunnels().any(|(_, carries)| carries)
    }

    fn own(&self) -> usize {
        self.links.values().filter(|link| link.mine).count()
    }

    /// Returns the tunnels of which something is due.
    fn due(&self, now: Moment) -> impl Iterator<Item = Member> {
        let due = move |link: &Link| link.state.until().is_some_and(|until| until <= now);
        let links = self.links.iter();
        links
            .filter(move |(_, link)| due(link))
            .map(|(peer, _)| *peer)
    }
}
