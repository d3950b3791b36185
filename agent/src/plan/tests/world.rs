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
            bridges: BTreeMap::new(),
            open: BTreeMap::new(),
            look_again: None,
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
            rationed: false,
            full: false,
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
        let mut all = Self::of_what_it_has();
        all.extend::<Vec<fn(&mut Partition)>>(vec![
            |_| {},
            // A boot.
            |found| {
                (found.units, found.redirected) = (BTreeMap::new(), BTreeMap::new());
                found.open.clear();
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
        ]);
        all
    }

    /// The same, of what its node gives it, and the ways that lead to it.
    fn of_what_it_has() -> Vec<fn(&mut Partition)> {
        vec![
            // A bridge was closed, is of another certificate, or nobody's.
            |found| found.open.clear(),
            |found| {
                for fingerprint in found.bridges.values_mut() {
                    *fingerprint = Fingerprint::new("other");
                }
            },
            |found| {
                let stray = Unit {
                    state: UnitState::Ending,
                    fingerprint: None,
                };
                found.open.insert(program("stray"), stray);
                found.slice = true;
            },
            // A disk was mounted, or went away.
            |found| (found.housed, found.equipped, found.guarded) = (false, false, false),
            |found| found.rationed = false,
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
