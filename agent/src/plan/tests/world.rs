//! A world that does what it is told, where what a step needs is so.

use super::*;

/// A node on which every step works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct World {
    pub(super) observed: Observed,
}

impl World {
    pub(super) fn new() -> Self {
        let free = Partition {
            ready: true,
            empty: true,
            processed: None,
            order: None,
            programs: BTreeMap::new(),
            units: BTreeMap::new(),
            redirects: BTreeSet::from([program("udp-53-00")]),
            redirected: BTreeMap::new(),
            slice: false,
            held_to: None,
            limits: Limits::default(),
            loose_ends: false,
            promises: Promises::Unknown,
            has_promises: false,
            watched: None,
            crashing: None,
            certified: false,
            housed: false,
            equipped: false,
            guarded: false,
            given: Vec::new(),
            retention: Retention::Over,
            takes_leave: false,
            requested: Vec::new(),
            told: Told::new(),
            asks: None,
            waits: None,
            connection: None,
            shared: BTreeMap::new(),
            failure: None,
            due: false,
            resting: false,
        };
        Self {
            observed: Observed {
                software: BTreeMap::from([(url(), Software::Absent)]),
                partitions: BTreeMap::from([(partition(), free)]),
                ..Observed::default()
            },
        }
    }

    /// States in which a node may be found: after a boot, after a crash of the agent, after somebody's mischief.
    pub(super) fn disturbances() -> Vec<fn(&mut Partition)> {
        vec![
            |_| {},
            // A boot.
            |found| {
                (found.units, found.redirected) = (BTreeMap::new(), BTreeMap::new());
                (found.slice, found.watched) = (false, None);
                found.promises = Promises::Unknown;
            },
            // The agent was restarted.
            |found| {
                found.promises = Promises::Unknown;
                found.watched = None;
                found.loose_ends = true;
            },
            // A program was stopped, or replaced, by hand.
            |found| {
                found.units.retain(|name, _| name.as_str() != "web");
            },
            |found| {
                for unit in found.units.values_mut() {
                    unit.fingerprint = Some(Fingerprint::new("other"));
                }
            },
            |found| {
                for unit in found.units.values_mut() {
                    unit.state = UnitState::Ending;
                }
            },
            // A program that nobody wants.
            |found| {
                let stray = Unit {
                    state: UnitState::Running,
                    fingerprint: None,
                };
                found.units.insert(program("stray"), stray);
                found.slice = true;
            },
            // Files were deleted, or written.
            |found| {
                found.processed = None;
                found.order = None;
                found.programs.clear();
            },
            |found| found.empty = false,
            // What it requested is another one now.
            |found| found.asks = Some(Fingerprint::new("asks")),
            |found| found.takes_leave = true,
            // Its slice was made by a unit that is in it, or other limits count.
            |found| found.held_to = None,
            |found| found.certified = false,
            // A disk was mounted, or went away.
            |found| (found.housed, found.equipped, found.guarded) = (false, false, false),
            // Redirections of another time, and one that failed.
            |found| {
                let other = (program("tcp-80-00"), UnitState::Running);
                let failed = (program("udp-53-00"), UnitState::Ending);
                found.redirected = BTreeMap::from([other, failed]);
            },
            |found| found.given.push("/mnt/disk1/slappart7".into()),
            |found| found.processed = Some("garbage".into()),
            // Its time has come.
            |found| found.due = true,
        ]
    }

    pub(super) fn apply(&mut self, action: &Action) {
        let step = match action {
            Action::Release(url, step) => {
                let software = match step {
                    ReleaseStep::Install => Software::Available,
                    ReleaseStep::Remove => Software::Absent,
                };
                self.observed.software.insert(url.clone(), software);
                return;
            }
            Action::Collect(id) => {
                self.observed.leftovers.remove(id);
                return;
            }
            Action::Partition(name, step) => {
                assert_eq!(*name, partition());
                step
            }
        };
        let found = self.observed.partitions.get_mut(&partition()).unwrap();
        carry_out(step, found);
    }

    /// Follows plans until there is none.
    pub(super) fn converge(&mut self, desired: &Desired) {
        for _ in 0..MOST_PASSES {
            let actions = plan(desired, &self.observed);
            if actions.is_empty() {
                return;
            }
            for action in &actions {
                self.apply(action);
            }
        }
        panic!("no end: {desired:?} {self:?}");
    }

    pub(super) fn verdict(&self, desired: &Desired) -> Option<Verdict> {
        let instance = desired.partitions.get(&partition())?;
        let found = &self.observed.partitions[&partition()];
        let software = self.observed.software.get(&url());
        Some(judge(partition(), instance, desired, software, found))
    }
}

/// Does what a step says, where what it needs is so.
fn carry_out(step: &Step, found: &mut Partition) {
    match step {
        Step::Forget => {
            found.processed = None;
            found.order = None;
            found.due = false;
        }
        Step::MakeSlice | Step::Limit => {
            assert_eq!(found.slice, *step == Step::Limit);
            (found.slice, found.held_to) = (true, Some(found.limits.fingerprint()));
        }
        Step::Certify => found.certified = true,
        Step::TakeFolders => found.housed = true,
        Step::Redirect(name) => {
            assert!(found.slice);
            found.redirected.insert(name.clone(), UnitState::Running);
        }
        Step::EndRedirect(name) => drop(found.redirected.remove(name)),
        Step::Guard => found.guarded = true,
        Step::TakeDevices => {
            assert!(found.order.is_some());
            found.equipped = true;
        }
        Step::Ask(subject) => {
            assert!(found.certified && found.asks.as_ref() == Some(subject));
            found.asks = None;
            found.told.insert("child".into(), Answer::default());
        }
        Step::Instantiate(order) => instantiate(order, found),
        Step::Stop(program) => assert!(found.units.remove(program).is_some()),
        Step::Start(program, fingerprint) => {
            assert!(found.slice && !found.units.contains_key(program));
            let unit = Unit {
                state: UnitState::Running,
                fingerprint: Some(fingerprint.clone()),
            };
            found.units.insert(program.clone(), unit);
        }
        Step::Watch(subject) => {
            found.watched = Some(subject.clone());
            found.promises = Promises::Kept;
            found.loose_ends = true;
        }
        Step::Unwatch => {
            assert!(found.watched.is_some());
            found.watched = None;
            found.promises = Promises::Unknown;
        }
        Step::Remember(timestamp) => {
            found.processed = Some(timestamp.clone());
            found.empty = false;
        }
        Step::Halt => {
            (found.units, found.redirected) = (BTreeMap::new(), BTreeMap::new());
            (found.slice, found.loose_ends) = (false, false);
            (found.watched, found.promises) = (None, Promises::Unknown);
        }
        Step::Retain => found.retention = Retention::Lasts,
        Step::TakeLeave => assert!(found.takes_leave && found.units.is_empty()),
        Step::Wipe => wipe(found),
    }
}

fn instantiate(order: &Fingerprint, found: &mut Partition) {
    assert!(found.certified && found.housed && found.slice && found.processed.is_none());
    found.order = Some(order.clone());
    found.empty = false;
    assert_eq!(found.watched, None);
    found.has_promises = true;
    found.programs = ["web", "task"]
        .map(|name| (program(name), Fingerprint::of(name.as_bytes())))
        .into();
}

fn wipe(found: &mut Partition) {
    assert!(found.retention == Retention::Over);
    assert!(found.units.is_empty() && !found.loose_ends);
    found.empty = true;
    found.processed = None;
    found.order = None;
    found.programs.clear();
    found.has_promises = false;
    found.certified = false;
    found.takes_leave = false;
    (found.asks, found.told) = (None, Told::new());
}
