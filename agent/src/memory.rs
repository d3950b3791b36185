//! What the workload remembers between two passes, and may forget at any restart: failures with their rests, looks at
//! promises, and what was said last.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::Ipv6Net;
use tokio::time::Instant;

use crate::desired::{Fingerprint, Instance, PartitionName};
use crate::instances::answers::Told;
use crate::observed::{Crashing, ProgramName};
use crate::workload::Report;

/// What is remembered.
#[derive(Debug, Default)]
pub struct Memory {
    partitions: BTreeMap<PartitionName, Remembered>,
    said: BTreeMap<String, Said>,
    /// The text of each partition's `.slapos-resource`, to put back after wiping.
    pub resources: BTreeMap<PartitionName, String>,
    /// What all addresses of the node begin with.
    pub prefix: Option<Ipv6Net>,
}

/// What is remembered of a partition.
#[derive(Debug, Default)]
pub struct Remembered {
    failure: Option<Failure>,
    /// Whether somebody wants it processed again.
    again: bool,
    crashes: BTreeMap<ProgramName, Crashes>,
    /// How often the kernel has killed something of it for want of memory, as its slice counts.
    kills: u64,
}

/// How often a program has ended by itself.
#[derive(Clone, Copy, Debug)]
struct Crashes {
    /// As systemd counts, since it was made.
    restarts: u32,
    /// One soon after the other.
    in_a_row: u32,
    last: Instant,
    lacks_memory: bool,
}

#[derive(Debug)]
struct Failure {
    goal: Goal,
    message: String,
    attempts: u32,
    again: Instant,
}

/// What was said, on which occasion, and when.
type Said = (Report, Option<Goal>, Instant);

/// What the master wants of a partition: a failure on the way to one goal says nothing of another.
pub type Goal = (slap::RequestedState, Fingerprint);

const FIRST_REST: Duration = Duration::from_secs(2);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// So many ends in a row are a failure of the instance; they are in a row when no more than this lies between.
const CRASHES_THAT_LAST: u32 = 3;
const CRASHES_WITHIN: Duration = Duration::from_secs(120);
const DESTROYED_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Returns the goal of an instance.
pub fn goal(partition: PartitionName, instance: &Instance) -> Goal {
    (instance.state, instance.order(partition, &Told::new()))
}

impl Memory {
    /// Returns what is remembered of a partition.
    pub fn of(&mut self, partition: PartitionName) -> &mut Remembered {
        self.partitions.entry(partition).or_default()
    }

    /// Forgets partitions that nobody has, and what was said of them.
    pub fn retain(&mut self, wanted: impl Fn(PartitionName) -> bool) {
        self.partitions.retain(|partition, _| wanted(*partition));
        self.said
            .retain(|_, (report, _, _)| match report.partition() {
                Some(partition) => wanted(partition),
                None => true,
            });
    }

    /// Returns whether a report is news, and notes it as said.
    ///
    /// That something is destroyed is news again after a while: a master that wants it nevertheless, as slapproxy does while a tree is not
    /// gone, has to hear it once more.
    pub fn is_news(&mut self, report: &Report, goal: Option<&Goal>, now: Instant) -> bool {
        let subject = report.subject();
        if let Some((said, on, at)) = self.said.get(&subject)
            && said == report
            && on.as_ref() == goal
        {
            let is_over = matches!(report, Report::Destroyed { .. })
                && now.saturating_duration_since(*at) >= DESTROYED_AGAIN_AFTER;
            if !is_over {
                return false;
            }
        }
        let said = (report.clone(), goal.cloned(), now);
        self.said.insert(subject, said);
        true
    }
}

impl Remembered {
    /// Notes that an attempt failed; the rest grows with each.
    pub fn failed(&mut self, goal: Goal, message: String, now: Instant) {
        let attempts = match &self.failure {
            Some(failure) if failure.goal == goal => failure.attempts + 1,
            _ => 1,
        };
        let rest = FIRST_REST.saturating_mul(1 << (attempts - 1).min(10));
        self.failure = Some(Failure {
            goal,
            message,
            attempts,
            again: now + rest.min(LONGEST_REST),
        });
    }

    /// Notes how often the kernel has killed something for want of memory; says whether that is more often than before.
    pub fn killed(&mut self, kills: u64) -> bool {
        let is_more = kills > self.kills;
        self.kills = kills;
        is_more
    }

    /// Notes how often systemd has started a program again, and whether for want of memory; says whether that is more often than before.
    pub fn restarted(
        &mut self,
        program: ProgramName,
        restarts: u32,
        lacks_memory: bool,
        now: Instant,
    ) -> bool {
        let before = self.crashes.get(&program).copied();
        if restarts <= before.map_or(0, |before| before.restarts) {
            return false;
        }
        let in_a_row = match before {
            Some(before) if now.saturating_duration_since(before.last) <= CRASHES_WITHIN => {
                before.in_a_row + 1
            }
            _ => 1,
        };
        let crashes = Crashes {
            restarts,
            in_a_row,
            last: now,
            lacks_memory,
        };
        self.crashes.insert(program, crashes);
        true
    }

    /// Notes that a program was made anew: what was before says nothing of it.
    pub fn made_anew(&mut self, program: &ProgramName) {
        self.crashes.remove(program);
    }

    /// Returns the program that ends again and again, if one does.
    pub fn crashing(&self, now: Instant) -> Option<Crashing> {
        let mut crashes = self.crashes.iter();
        let found = crashes.find(|(_, crashes)| crashes.lasts(now));
        found.map(|(program, crashes)| Crashing {
            program: program.clone(),
            lacks_memory: crashes.lacks_memory,
        })
    }

    /// Returns how long until no program counts as one that ends again and again, if one does now.
    pub fn calm_in(&self, now: Instant) -> Option<Duration> {
        let crashes = self.crashes.values().filter(|crashes| crashes.lasts(now));
        let ends = crashes.map(|crashes| crashes.last + CRASHES_WITHIN);
        ends.max().map(|end| end.saturating_duration_since(now))
    }

    /// Notes that somebody wants it processed again, and at once.
    pub fn ask_again(&mut self) {
        self.again = true;
        self.failure = None;
    }

    /// Returns whether somebody wants it processed again.
    pub fn is_asked_again(&self) -> bool {
        self.again
    }

    /// Notes that it will be.
    pub fn heard_that(&mut self) {
        self.again = false;
    }

    /// Notes that an attempt did not fail.
    pub fn succeeded(&mut self) {
        self.failure = None;
    }

    /// Returns why the last attempt at this goal failed, and how long to rest.
    pub fn failure(&self, goal: &Goal, now: Instant) -> Option<(&str, Duration)> {
        let failure = self
            .failure
            .as_ref()
            .filter(|failure| failure.goal == *goal)?;
        let rest = failure.again.saturating_duration_since(now);
        Some((&failure.message, rest))
    }
}

impl Crashes {
    fn lasts(&self, now: Instant) -> bool {
        self.in_a_row >= CRASHES_THAT_LAST
            && now.saturating_duration_since(self.last) <= CRASHES_WITHIN
    }
}

#[cfg(test)]
mod tests {
    use slap::RequestedState;

    use super::*;

    fn goal(state: RequestedState) -> Goal {
        (state, Fingerprint::of(b"order"))
    }

    #[test]
    fn the_rest_grows_with_each_failure_and_ends_with_another_goal() {
        let now = Instant::now();
        let mut remembered = Remembered::default();
        let started = goal(RequestedState::Started);
        let mut rests = Vec::new();
        for _ in 0..8 {
            remembered.failed(started.clone(), "no".into(), now);
            rests.push(remembered.failure(&started, now).unwrap().1.as_secs());
        }
        assert_eq!(rests, [2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(
            remembered
                .failure(&goal(RequestedState::Destroyed), now)
                .is_none()
        );
        remembered.succeeded();
        assert!(remembered.failure(&started, now).is_none());
    }

    #[test]
    fn who_asks_for_another_attempt_need_not_wait_for_the_rest() {
        let now = Instant::now();
        let mut remembered = Remembered::default();
        let started = goal(RequestedState::Started);
        remembered.failed(started.clone(), "no".into(), now);
        assert!(!remembered.is_asked_again());
        remembered.ask_again();
        assert!(remembered.is_asked_again());
        assert_eq!(remembered.failure(&started, now), None);
        remembered.heard_that();
        assert!(!remembered.is_asked_again());
    }

    #[test]
    fn three_ends_in_a_row_are_a_failure_until_it_is_calm() {
        let start = Instant::now();
        let web = ProgramName::new("web").unwrap();
        let mut remembered = Remembered::default();
        assert!(!remembered.restarted(web.clone(), 0, false, start));
        for restarts in 1..=3 {
            assert_eq!(remembered.crashing(start), None);
            assert!(remembered.restarted(web.clone(), restarts, restarts == 3, start));
            assert!(!remembered.restarted(web.clone(), restarts, restarts == 3, start));
        }
        let crashing = Crashing {
            program: web.clone(),
            lacks_memory: true,
        };
        assert_eq!(remembered.crashing(start), Some(crashing));
        assert_eq!(remembered.calm_in(start), Some(CRASHES_WITHIN));
        let later = start + CRASHES_WITHIN + Duration::from_secs(1);
        assert_eq!(remembered.crashing(later), None);
        // One that ends once an hour does not end again and again.
        assert!(remembered.restarted(web.clone(), 4, false, later));
        assert_eq!(remembered.crashing(later), None);
        remembered.made_anew(&web);
        assert!(remembered.restarted(web, 1, false, later));
    }

    #[test]
    fn a_kill_is_noticed_once_and_a_new_slice_counts_anew() {
        let mut remembered = Remembered::default();
        let noticed = [0, 1, 1, 3, 0, 1].map(|kills| remembered.killed(kills));
        assert_eq!(noticed, [false, true, false, true, false, true]);
    }

    #[test]
    fn a_report_is_news_once_for_each_order() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let partition = PartitionName::new(0);
        let started = Report::Started { partition };
        let first = goal(RequestedState::Started);
        assert!(memory.is_news(&started, Some(&first), now));
        assert!(!memory.is_news(&started, Some(&first), now));
        let again = (RequestedState::Started, Fingerprint::of(b"newer"));
        assert!(memory.is_news(&started, Some(&again), now));
        let stopped = Report::Stopped { partition };
        assert!(memory.is_news(&stopped, Some(&again), now));
        assert!(memory.is_news(&started, Some(&again), now));
        let destroyed = Report::Destroyed { partition };
        assert!(memory.is_news(&destroyed, Some(&again), now));
        assert!(!memory.is_news(&destroyed, Some(&again), now));
        let later = now + DESTROYED_AGAIN_AFTER;
        assert!(memory.is_news(&destroyed, Some(&again), later));
        assert!(!memory.is_news(&destroyed, Some(&again), later));
        memory.retain(|_| false);
        assert!(memory.is_news(&started, Some(&again), now));
    }
}
