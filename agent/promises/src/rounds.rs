//! When a promise is due, and when one that is not kept counts. Pure: time comes in.
//!
//! After a change every promise is tested until all are kept, patiently at first, since programs come up. From then on each is looked
//! at as often as it wants, for anomalies: a plugin says itself what is one; an executable must fail three times in a row.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::promise::{self, Form, Mode, Outcome, Promise};
use crate::words::{Answer, PATIENCE};

/// How soon to look again while programs come up, and when that took too long.
const SOON: Duration = Duration::from_secs(2);
const AFTER_FAILURE: Duration = Duration::from_secs(20);
/// The peer's node looks once a minute: who asks for less has never had it.
const MOST_OFTEN: Duration = Duration::from_secs(60);
const FAILURES_THAT_LAST: u32 = 3;
/// Of a plugin that does not come to its end, as with the peer.
const SILENCES_THAT_LAST: u32 = 2;

/// What is known of all promises.
#[derive(Debug, Default)]
pub struct Rounds {
    round: u64,
    phase: Phase,
    all: BTreeMap<Promise, Known>,
    said: Option<Answer>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Paused,
    Testing {
        since: Instant,
    },
    Watching,
}

#[derive(Debug)]
struct Known {
    next: Instant,
    failures: u32,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Unknown,
    Kept,
    Broken(String),
}

/// What is written down of a look at a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// As which of both the peer's tools know it.
    pub kind: Mode,
    pub failed: bool,
    pub message: String,
}

impl Rounds {
    /// Begins anew: nothing is known of any promise.
    pub fn begin(&mut self, round: u64, promises: Vec<Promise>, now: Instant) {
        let unknown = |promise| {
            let known = Known {
                next: now,
                failures: 0,
                state: State::Unknown,
            };
            (promise, known)
        };
        *self = Self {
            round,
            phase: Phase::Testing { since: now },
            all: promises.into_iter().map(unknown).collect(),
            said: None,
        };
        self.go_on();
    }

    /// Looks at none until the next beginning.
    pub fn pause(&mut self) {
        self.phase = Phase::Paused;
    }

    /// Has all of them due.
    pub fn hurry(&mut self, now: Instant) {
        for known in self.all.values_mut() {
            known.next = now;
        }
    }

    /// Returns which promises to look at, and what to ask them.
    pub fn due(&self, now: Instant) -> Option<(Mode, Vec<Promise>)> {
        let mode = match self.phase {
            Phase::Paused => return None,
            Phase::Testing { .. } => Mode::Test,
            Phase::Watching => Mode::Anomaly,
        };
        let due = self.all.iter().filter(|(_, known)| known.next <= now);
        let due: Vec<_> = due.map(|(promise, _)| promise.clone()).collect();
        (!due.is_empty()).then_some((mode, due))
    }

    /// Returns how long nothing is due; nothing if nothing ever is.
    pub fn due_in(&self, now: Instant) -> Option<Duration> {
        if self.phase == Phase::Paused {
            return None;
        }
        let next = self.all.values().map(|known| known.next).min()?;
        Some(next.saturating_duration_since(now))
    }

    /// Takes what a look came to; returns what to write down of it.
    pub fn take(
        &mut self,
        mode: Mode,
        promise: &Promise,
        outcome: &Outcome,
        now: Instant,
    ) -> Option<Verdict> {
        let is_patient = match self.phase {
            Phase::Testing { since } => now.saturating_duration_since(since) < PATIENCE,
            Phase::Paused | Phase::Watching => false,
        };
        let known = self.all.get_mut(promise)?;
        let every = outcome.every.max(MOST_OFTEN);
        let (message, wrong) = match &outcome.answer {
            promise::Answer::Nothing => {
                known.state = State::Kept;
                known.next = now + every;
                self.go_on();
                return None;
            }
            promise::Answer::Kept(message) => (message, None),
            promise::Answer::Broken(message) => (message, Some(breaks(mode, promise.form))),
            promise::Answer::Silent(message) => (message, Some(silences(mode, promise.form))),
        };
        known.failures = wrong.map_or(0, |_| known.failures + 1);
        let failed = wrong.is_some_and(|bound| known.failures >= bound);
        known.state = if failed {
            State::Broken(message.clone())
        } else {
            State::Kept
        };
        known.next = now
            + match (wrong, mode, promise.form) {
                (Some(_), Mode::Test, _) if is_patient => SOON,
                (Some(_), Mode::Test, _)
                | (Some(_), Mode::Anomaly, Form::Executable | Form::Bridge) => AFTER_FAILURE,
                (Some(_), Mode::Anomaly, Form::Plugin) | (None, ..) => every,
            };
        let verdict = Verdict {
            kind: match promise.form {
                Form::Plugin => mode,
                Form::Executable | Form::Bridge => Mode::Test,
            },
            failed,
            message: message.clone(),
        };
        self.go_on();
        Some(verdict)
    }

    /// Returns what to say, if it is another thing than before.
    pub fn news(&mut self, now: Instant) -> Option<Answer> {
        let broken = self
            .all
            .iter()
            .find_map(|(promise, known)| match &known.state {
                State::Broken(message) => {
                    let name = &promise.name;
                    Some(format!("Promise '{name}' failed with output: {message}"))
                }
                State::Unknown | State::Kept => None,
            });
        match self.phase {
            Phase::Paused => return None,
            // Who comes up may be late, and says nothing before.
            Phase::Testing { since }
                if broken.is_none() || now.saturating_duration_since(since) < PATIENCE =>
            {
                return None;
            }
            Phase::Testing { .. } | Phase::Watching => {}
        }
        let answer = Answer {
            round: self.round,
            broken,
        };
        if self.said.as_ref() == Some(&answer) {
            return None;
        }
        self.said = Some(answer.clone());
        Some(answer)
    }

    /// Watches once all promises were kept.
    fn go_on(&mut self) {
        let all_kept = || self.all.values().all(|known| known.state == State::Kept);
        if matches!(self.phase, Phase::Testing { .. }) && all_kept() {
            self.phase = Phase::Watching;
        }
    }
}

/// How many broken answers in a row are a failure.
fn breaks(mode: Mode, form: Form) -> u32 {
    match (mode, form) {
        (Mode::Test, _) | (Mode::Anomaly, Form::Plugin) => 1,
        (Mode::Anomaly, Form::Executable | Form::Bridge) => FAILURES_THAT_LAST,
    }
}

/// The same for those that do not come to their end.
fn silences(mode: Mode, form: Form) -> u32 {
    match (mode, form) {
        (Mode::Test, _) => 1,
        (Mode::Anomaly, Form::Plugin) => SILENCES_THAT_LAST,
        (Mode::Anomaly, Form::Executable | Form::Bridge) => FAILURES_THAT_LAST,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use promise::Answer as Says;

    use super::*;

    fn promise(form: Form, name: &str) -> Promise {
        Promise {
            form,
            name: name.into(),
            path: name.into(),
        }
    }

    fn outcome(answer: Says) -> Outcome {
        Outcome::new(answer, SystemTime::UNIX_EPOCH, Duration::ZERO)
    }

    fn broken() -> Outcome {
        outcome(Says::Broken("no answer".into()))
    }

    fn kept() -> Outcome {
        outcome(Says::Kept(String::new()))
    }

    fn begun(promises: &[Promise], now: Instant) -> Rounds {
        let mut rounds = Rounds::default();
        rounds.begin(1, promises.to_vec(), now);
        rounds
    }

    #[test]
    fn while_programs_come_up_a_broken_promise_is_looked_at_often_and_patiently() {
        let web = promise(Form::Executable, "web");
        let start = Instant::now();
        let mut rounds = begun(std::slice::from_ref(&web), start);
        assert_eq!(rounds.due(start), Some((Mode::Test, vec![web.clone()])));
        let mut now = start;
        while now < start + PATIENCE {
            let verdict = rounds.take(Mode::Test, &web, &broken(), now).unwrap();
            assert!(verdict.failed);
            assert_eq!(rounds.news(now), None);
            assert_eq!(rounds.due_in(now), Some(SOON));
            now += SOON;
        }
        rounds.take(Mode::Test, &web, &broken(), now);
        let words = "Promise 'web' failed with output: no answer".to_owned();
        let broken = Some(words);
        assert_eq!(rounds.news(now), Some(Answer { round: 1, broken }));
        assert_eq!(rounds.news(now), None);
        assert_eq!(rounds.due_in(now), Some(AFTER_FAILURE));
        rounds.take(Mode::Test, &web, &kept(), now);
        let broken = None;
        assert_eq!(rounds.news(now), Some(Answer { round: 1, broken }));
        assert_eq!(
            rounds.due(now + promise::EXECUTABLE_EVERY).unwrap().0,
            Mode::Anomaly
        );
    }

    #[test]
    fn an_executable_must_fail_three_times_and_a_plugin_once() {
        let now = Instant::now();
        for (form, times) in [(Form::Executable, 3), (Form::Plugin, 1)] {
            let web = promise(form, "web");
            let mut rounds = begun(std::slice::from_ref(&web), now);
            rounds.take(Mode::Test, &web, &kept(), now);
            assert_eq!(rounds.news(now).unwrap().broken, None);
            for time in 1..=times {
                assert_eq!(rounds.news(now), None);
                let verdict = rounds.take(Mode::Anomaly, &web, &broken(), now).unwrap();
                assert_eq!(verdict.failed, time == times, "{form:?} {time}");
            }
            assert!(rounds.news(now).unwrap().broken.is_some());
        }
    }

    #[test]
    fn a_plugin_that_hangs_once_is_forgiven() {
        let now = Instant::now();
        let web = promise(Form::Plugin, "web.py");
        let mut rounds = begun(std::slice::from_ref(&web), now);
        rounds.take(Mode::Test, &web, &kept(), now);
        let hangs = outcome(Says::Silent("Error: Promise timed out".into()));
        let verdict = rounds.take(Mode::Anomaly, &web, &hangs, now).unwrap();
        assert!(!verdict.failed && verdict.kind == Mode::Anomaly);
        assert!(
            rounds
                .take(Mode::Anomaly, &web, &hangs, now)
                .unwrap()
                .failed
        );
    }

    #[test]
    fn each_promise_has_its_own_time_and_none_more_than_once_a_minute() {
        let now = Instant::now();
        let (often, rare) = (promise(Form::Plugin, "a.py"), promise(Form::Plugin, "b.py"));
        let mut rounds = begun(&[often.clone(), rare.clone()], now);
        let every = |seconds| Outcome {
            every: Duration::from_secs_f64(seconds),
            ..kept()
        };
        rounds.take(Mode::Test, &often, &every(0.06), now);
        rounds.take(Mode::Test, &rare, &every(600.0), now);
        assert_eq!(rounds.due_in(now), Some(MOST_OFTEN));
        let later = now + MOST_OFTEN;
        assert_eq!(rounds.due(later), Some((Mode::Anomaly, vec![often])));
        rounds.hurry(later);
        assert_eq!(rounds.due(later).unwrap().1.len(), 2);
        rounds.pause();
        assert_eq!((rounds.due(later), rounds.due_in(later)), (None, None));
    }

    #[test]
    fn without_promises_there_is_nothing_to_wait_for() {
        let now = Instant::now();
        let mut rounds = begun(&[], now);
        assert_eq!(rounds.news(now).unwrap().broken, None);
        assert_eq!(rounds.due_in(now), None);
    }
}
