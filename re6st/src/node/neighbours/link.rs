//! One end of a tunnel: when it beats, when it worries, and when it gives up.

mod loss;

use std::net::SocketAddr;
use std::time::Duration;

use super::TELL_AGAIN;
use crate::mesh::Moment;
use crate::node::talk::Beat;
use loss::Loss;

/// Between two beats.
const BEAT: Duration = Duration::from_millis(500);
/// A beat that is later than this is missed.
const LATE: Duration = Duration::from_millis(650);
/// Between two beats of an end that has missed one, or has heard none yet.
const URGENT: Duration = Duration::from_millis(120);
/// How many of these stay without an answer before the tunnel is down: one in five lost on the way there or back is borne.
const TRIES: u32 = 5;
/// How much of a new measurement of there and back counts: a quarter.
const SMOOTH: u32 = 4;

/// For how long both the tunnel and its spare are used, when the one shall take the place of the other: until babeld has told all its routes on it,
/// which it does every five seconds.
const TURN: Duration = Duration::from_secs(7);

/// One end of a tunnel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// Since when it is there.
    since: Moment,
    /// When the other end was last heard, saying that it hears us.
    heard: Option<Moment>,
    /// When the last beat was sent.
    sent: Option<Moment>,
    /// Urgent beats since the other end was last heard.
    tries: u32,
    /// The last stamp that came, and when.
    stamp: Option<(u32, Moment)>,
    round_trip: Option<Duration>,
    /// How many beats we have sent, and how many of theirs are lost.
    count: u32,
    loss: Loss,
    /// Whether we want it to be closed.
    drains: bool,
    /// At which address the other end was last told that it is seen, and when.
    told: Option<(SocketAddr, Moment)>,
    /// Until when both the tunnel and its spare are used.
    turns: Option<Moment>,
    /// Whether we send nothing by it.
    pub(super) unused: bool,
    /// What the other end last said.
    pub(super) theirs: Beat,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Beat { urgent: bool },
    Down,
}

/// By what routes lead that lead through a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::node) enum Way {
    Main,
    /// By its spare, for lack of others.
    Spare,
    /// One takes the place of the other.
    Both,
}

/// How a tunnel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::node) struct Tunnel {
    /// Whether both ends hear each other.
    pub(in crate::node) is_up: bool,
    pub(in crate::node) way: Way,
    /// How long there and back takes, of late.
    pub(in crate::node) round_trip: Option<Duration>,
    /// How many of a million datagrams from the other end are lost, of late.
    pub(in crate::node) lost: u32,
    /// For how long it has been there.
    pub(in crate::node) age: Duration,
}

impl Link {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            since: now,
            heard: None,
            sent: None,
            tries: 0,
            stamp: None,
            round_trip: None,
            count: 0,
            loss: Loss::default(),
            drains: false,
            told: None,
            turns: None,
            unused: false,
            theirs: Beat::default(),
        }
    }

    /// Whether both ends hear each other.
    pub(super) fn is_heard(&self) -> bool {
        self.heard.is_some()
    }

    /// Whether one of the ends wants all to use other ways.
    pub(super) fn is_drained(&self) -> bool {
        self.drains || self.theirs.drains
    }

    /// Wants it to be closed, or not any more.
    pub(super) fn drain(&mut self, now: Moment, drains: bool) {
        let before = self.is_drained();
        self.drains = drains;
        self.unused = false;
        self.turn(now, before);
    }

    fn turn(&mut self, now: Moment, was_drained: bool) {
        if self.is_drained() != was_drained {
            self.turns = Some(now + TURN);
        }
    }

    /// Ends the time in which both ways are used, if it is over; returns whether it was.
    pub(super) fn has_turned(&mut self, now: Moment) -> bool {
        let is_over = self.turns.is_some_and(|end| end <= now);
        if is_over {
            self.turns = None;
        }
        is_over
    }

    fn way(&self) -> Way {
        match (self.turns, self.is_drained()) {
            (Some(_), _) => Way::Both,
            (None, true) => Way::Spare,
            (None, false) => Way::Main,
        }
    }

    /// Whether the other end shall be told at which address it is seen; it counts as told then.
    pub(super) fn shall_tell(&mut self, now: Moment, at: SocketAddr) -> bool {
        let is_told = |(told, when): (SocketAddr, Moment)| told == at && now < when + TELL_AGAIN;
        let shall = self.is_heard() && !self.told.is_some_and(is_told);
        if shall {
            self.told = Some((at, now));
        }
        shall
    }

    /// Notes how many destinations are reached by it.
    pub(super) fn weigh(&mut self, count: u64) {
        self.unused = self.way() == Way::Spare && count == 0;
    }

    /// Whether neither end sends anything by it any more.
    pub(super) fn is_unused(&self) -> bool {
        self.drains && self.unused && self.theirs.unused
    }

    pub(super) fn tunnel(&self, now: Moment) -> Tunnel {
        Tunnel {
            is_up: self.is_heard(),
            way: self.way(),
            round_trip: self.round_trip,
            lost: self.loss.millionths(),
            age: now.saturating_sub(self.since),
        }
    }

    /// Takes a beat of the other end.
    pub(super) fn hear(&mut self, now: Moment, beat: Beat) {
        self.stamp = Some((beat.stamp, now));
        self.loss.hear(beat.count);
        let before = self.is_drained();
        self.theirs = beat;
        self.turn(now, before);
        let Some((stamp, kept)) = beat.echo else {
            // Half a way is none: they do not hear us yet.
            return;
        };
        self.heard = Some(now);
        self.tries = 0;
        let took = micros(now).wrapping_sub(stamp).wrapping_sub(kept);
        // What claims to have taken longer than an end lives is no measurement.
        if u128::from(took) <= now.saturating_sub(self.since).as_micros() {
            let took = Duration::from_micros(took.into());
            let smoothed = |before: Duration| (before * (SMOOTH - 1) + took) / SMOOTH;
            self.round_trip = Some(self.round_trip.map_or(took, smoothed));
        }
    }

    /// Returns the beat to send now.
    pub(super) fn beat(&mut self, now: Moment, urgent: bool) -> Beat {
        self.sent = Some(now);
        self.count = self.count.wrapping_add(1);
        if urgent && self.is_heard() {
            self.tries += 1;
        }
        let kept = |(stamp, came)| (stamp, micros(now).wrapping_sub(micros(came)));
        Beat {
            stamp: micros(now),
            echo: self.stamp.map(kept),
            drains: self.drains,
            unused: self.unused,
            urgent,
            count: self.count,
        }
    }

    /// Returns what is due.
    pub(super) fn due(&self, now: Moment) -> Due {
        if now < self.next_beat() {
            return Due::Nothing;
        }
        match self.heard {
            None => Due::Beat { urgent: true },
            Some(heard) if now < heard + LATE => Due::Beat { urgent: false },
            Some(_) if self.tries >= TRIES => Due::Down,
            Some(_) => Due::Beat { urgent: true },
        }
    }

    /// Returns when something is due.
    pub(super) fn next(&self) -> Moment {
        let beat = self.next_beat();
        self.turns.map_or(beat, |turns| turns.min(beat))
    }

    fn next_beat(&self) -> Moment {
        let Some(sent) = self.sent else {
            return self.since;
        };
        match self.heard {
            None => sent + URGENT,
            Some(_) if self.tries >= TRIES => sent + URGENT + self.round_trip.unwrap_or_default(),
            Some(_) if self.tries > 0 => sent + URGENT,
            Some(heard) => (sent + BEAT).min(heard + LATE),
        }
    }
}

/// Microseconds of a clock that turns over after 71 minutes.
fn micros(moment: Moment) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "it turns over")]
    let micros = moment.as_micros() as u32;
    micros
}
