//! What becomes of one tunnel, from the question to its end.

use super::{Action, Answer, Member, Mesh, Moment, Why};

/// A tunnel, or what shall be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Whether we have asked for it.
    pub(super) mine: bool,
    pub(super) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// We have asked.
    Asking { until: Moment },
    /// Both ends want it, and nothing has come through it yet.
    Opening { until: Moment },
    /// It carries what is sent; it is not replaced before it is `settled`.
    Up { settled: Moment },
    /// We want to close it.
    Draining { until: Moment },
    /// The other end wants to close it.
    Leaving,
}

impl Link {
    pub(super) fn asking(until: Moment) -> Self {
        let state = State::Asking { until };
        Self { mine: true, state }
    }

    pub(super) fn is_draining(&self) -> bool {
        matches!(self.state, State::Draining { .. })
    }

    /// Whether it can be replaced.
    pub(super) fn may_go(&self, now: Moment) -> bool {
        self.mine && matches!(self.state, State::Up { settled } if settled <= now)
    }
}

impl State {
    /// Until when something must have happened.
    pub(super) fn until(self) -> Option<Moment> {
        match self {
            Self::Asking { until } | Self::Opening { until } | Self::Draining { until } => {
                Some(until)
            }
            Self::Up { .. } | Self::Leaving => None,
        }
    }

    /// Whether it carries something; nothing if there is no tunnel yet.
    pub(super) fn carries(self) -> Option<bool> {
        match self {
            Self::Asking { .. } => None,
            Self::Opening { .. } => Some(false),
            Self::Up { .. } | Self::Draining { .. } | Self::Leaving => Some(true),
        }
    }
}

impl Mesh {
    /// Answers who asks for a tunnel, where there are at most so many in all.
    pub(super) fn hear_question(&mut self, now: Moment, peer: Member, most: usize) {
        let answer = match self.links.get(&peer).map(|link| link.state) {
            // Both have asked: the question of the smaller one counts.
            Some(State::Asking { .. }) if self.me < peer => Answer::Crossed,
            Some(State::Asking { .. }) => Answer::Accepted,
            // The answer was lost, or they have begun anew.
            Some(_) => Answer::Accepted,
            None if peer == self.me || self.links.len() >= most => Answer::Full,
            None if self.distrusted.contains_key(&peer) => Answer::Full,
            None => Answer::Accepted,
        };
        self.actions.push_back(Action::Answer(peer, answer));
        let is_there = self.links.get(&peer).and_then(|link| link.state.carries());
        if answer == Answer::Accepted && is_there.is_none() {
            self.open(now, peer, false);
        }
    }

    pub(super) fn hear_answer(&mut self, now: Moment, peer: Member, answer: Answer) {
        let asking = self.links.get(&peer).map(|link| link.state);
        if !matches!(asking, Some(State::Asking { .. })) {
            return;
        }
        match answer {
            Answer::Accepted => self.open(now, peer, true),
            // Theirs is under way.
            Answer::Crossed => {}
            Answer::Full => {
                self.links.remove(&peer);
                self.rests(peer, now + self.settings.rest_of_full, Why::Full);
                // Somebody is there, and somebody else has room.
                self.next_ask = self.next_ask.min(now + self.settings.pause);
            }
        }
    }

    fn open(&mut self, now: Moment, peer: Member, mine: bool) {
        let until = now + self.settings.up_within;
        let state = State::Opening { until };
        self.links.insert(peer, Link { mine, state });
        self.actions.push_back(Action::Open(peer));
    }

    pub(super) fn comes_up(&mut self, now: Moment, peer: Member) {
        let settled = now + self.settings.refresh;
        if let Some(link) = self.links.get_mut(&peer)
            && matches!(link.state, State::Opening { .. })
        {
            link.state = State::Up { settled };
            self.in_vain = 0;
            self.resting.remove(&peer);
        }
    }

    pub(super) fn goes_down(&mut self, now: Moment, peer: Member) {
        let Some(link) = self.links.get(&peer) else {
            return;
        };
        let Some(carried) = link.state.carries() else {
            return;
        };
        self.actions.push_back(Action::Close(peer));
        if carried {
            self.links.remove(&peer);
            self.rests(peer, now + self.settings.rest_of_silent, Why::Lost);
        } else {
            self.fails(now, peer);
        }
    }

    pub(super) fn is_closed(&mut self, now: Moment, peer: Member) {
        let carries = self.links.get(&peer).map(|link| link.state.carries());
        if carries.flatten().is_none() {
            return;
        }
        self.actions.push_back(Action::Close(peer));
        self.links.remove(&peer);
        // Who closes a tunnel looks for somebody else, and so do we.
        self.rests(peer, now + self.settings.rest_of_full, Why::Closed);
    }

    pub(super) fn is_drained(&mut self, peer: Member) {
        if let Some(link) = self.links.get_mut(&peer)
            && link.state.carries() == Some(true)
        {
            link.state = State::Leaving;
        }
    }

    pub(super) fn is_kept(&mut self, now: Moment, peer: Member) {
        let settled = now + self.settings.refresh;
        if let Some(link) = self.links.get_mut(&peer)
            && link.state == State::Leaving
        {
            link.state = State::Up { settled };
        }
    }

    pub(super) fn is_unused(&mut self, now: Moment, peer: Member) {
        if self.links.get(&peer).is_some_and(Link::is_draining) {
            self.links.remove(&peer);
            self.actions.push_back(Action::Close(peer));
            self.rests(peer, now + self.settings.rest_of_full, Why::Replaced);
        }
    }

    /// Looks for somebody who is to be found elsewhere than before: at once, or for longer if they are asked just now.
    pub(super) fn look_again_for(&mut self, now: Moment, peer: Member) {
        self.resting.remove(&peer);
        let longer = now + self.settings.answer_after_move_within;
        if let Some(link) = self.links.get_mut(&peer)
            && let State::Asking { until } = &mut link.state
        {
            *until = longer.max(*until);
        }
    }

    /// Ends what there is with somebody, and has nothing to do with them for a while.
    pub(super) fn distrust(&mut self, now: Moment, peer: Member) {
        let until = now + self.settings.distrust_for;
        self.distrusted.insert(peer, until);
        let link = self.links.remove(&peer);
        if link.is_some_and(|link| link.state.carries().is_some()) {
            self.actions.push_back(Action::Close(peer));
        }
    }

    /// Ends what there is with those of whom nobody knows any more.
    pub(super) fn part_from_strangers(&mut self) {
        let known = std::sync::Arc::clone(&self.known);
        let is_stranger = |peer: &Member| known.binary_search(peer).is_err();
        for (peer, link) in self.links.extract_if(.., |peer, _| is_stranger(peer)) {
            if link.state.carries().is_some() {
                self.actions.push_back(Action::Close(peer));
            }
        }
        self.wishes.retain(|peer| !is_stranger(peer));
    }

    /// The time of a tunnel's state is over.
    pub(super) fn runs_out(&mut self, now: Moment, peer: Member) {
        let settled = now + self.settings.refresh;
        let Some(link) = self.links.get_mut(&peer) else {
            return;
        };
        match link.state {
            State::Asking { .. } => self.fails(now, peer),
            State::Opening { .. } => {
                self.actions.push_back(Action::Close(peer));
                self.fails(now, peer);
            }
            // Somebody has no other way.
            State::Draining { .. } => {
                link.state = State::Up { settled };
                self.actions.push_back(Action::Keep(peer));
            }
            State::Up { .. } | State::Leaving => {}
        }
    }

    fn fails(&mut self, now: Moment, peer: Member) {
        self.links.remove(&peer);
        self.in_vain = self.in_vain.saturating_add(1);
        self.rests(peer, now + self.settings.rest_of_silent, Why::Silent);
    }

    fn rests(&mut self, peer: Member, until: Moment, why: Why) {
        self.resting.insert(peer, (until, why));
    }
}
