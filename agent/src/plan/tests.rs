//! A plan leads from any state to any other, and what is converged needs no action: tried for every pair of small
//! states, against a world that does what it is told.

use std::collections::BTreeMap;

use super::*;
use crate::instances::answers::{Answer, Told};
use crate::instances::limits::Limits;
use crate::verdict::{Verdict, judge};

mod carry_out;
mod leftovers;
mod releases;
mod requests;
mod world;

use carry_out::carry_out;
use world::World;

const PARTITION: u16 = 3;
/// More passes than any state is away from any other.
const MOST_PASSES: usize = 10;

fn url() -> SoftwareUrl {
    SoftwareUrl::new("https://releases.example/demo.oci.tar")
}

fn partition() -> PartitionName {
    PartitionName::new(PARTITION)
}

fn program(name: &str) -> ProgramName {
    ProgramName::new(name).unwrap()
}

fn instance(state: RequestedState, timestamp: &str, greeting: &str) -> Instance {
    Instance {
        state,
        software: url(),
        software_type: "default".into(),
        title: "site".into(),
        root_title: "site".into(),
        reference: "SOFTINST-1".into(),
        timestamp: timestamp.into(),
        parameters: BTreeMap::from([("greeting".into(), greeting.into())]),
        shared: Vec::new(),
        ip_list: Vec::new(),
        asked: BTreeMap::new(),
        routed: Vec::new(),
        firewall: BTreeMap::new(),
        retention_days: 0.0,
        connection: BTreeMap::new(),
    }
}

/// Everything that the master may want.
fn wishes() -> Vec<Desired> {
    let instances = [
        None,
        Some(instance(RequestedState::Started, "1", "a")),
        Some(instance(RequestedState::Started, "2", "a")),
        Some(instance(RequestedState::Started, "3", "b")),
        Some(instance(RequestedState::Stopped, "4", "b")),
        Some(instance(RequestedState::Destroyed, "5", "b")),
    ];
    let mut all = Vec::new();
    for instance in instances {
        let is_wanted = |instance: &Instance| instance.state != RequestedState::Destroyed;
        let states: &[SupplyState] = match &instance {
            Some(instance) if is_wanted(instance) => &[SupplyState::Available],
            _ => &[SupplyState::Available, SupplyState::Destroyed],
        };
        for state in states {
            all.push(Desired {
                software: BTreeMap::from([(url(), *state)]),
                partitions: instance
                    .clone()
                    .map(|one| (partition(), one))
                    .into_iter()
                    .collect(),
                refused: BTreeMap::new(),
            });
        }
    }
    all
}

#[test]
fn the_plan_leads_from_any_state_to_any_other() {
    let mut pairs = 0;
    for from in wishes() {
        for disturb in World::disturbances() {
            for to in wishes() {
                let mut world = World::new();
                world.converge(&from);
                disturb(world.observed.partitions.get_mut(&partition()).unwrap());
                world.converge(&to);
                let expected = to.partitions.get(&partition()).map(|one| match one.state {
                    RequestedState::Started => Verdict::Started,
                    RequestedState::Stopped => Verdict::Stopped,
                    RequestedState::Destroyed => Verdict::Destroyed,
                });
                assert_eq!(
                    world.verdict(&to),
                    expected,
                    "{from:?} to {to:?}: {world:?}"
                );
                let is_used = to
                    .partitions
                    .values()
                    .any(|one| one.state != RequestedState::Destroyed);
                let software = match to.software[&url()] {
                    SupplyState::Destroyed if !is_used => Software::Absent,
                    SupplyState::Available | SupplyState::Destroyed => Software::Available,
                };
                assert_eq!(world.observed.software[&url()], software);
                pairs += 1;
            }
        }
    }
    assert!(pairs > 500);
}

#[test]
fn a_converged_node_needs_no_action() {
    for desired in wishes() {
        let mut world = World::new();
        world.converge(&desired);
        assert_eq!(plan(&desired, &world.observed), []);
    }
}

#[test]
fn an_equal_configuration_with_a_newer_timestamp_restarts_nothing() {
    let mut world = World::new();
    let at = |timestamp| Desired {
        software: BTreeMap::from([(url(), SupplyState::Available)]),
        partitions: BTreeMap::from([(
            partition(),
            instance(RequestedState::Started, timestamp, "a"),
        )]),
        refused: BTreeMap::new(),
    };
    world.converge(&at("1"));
    let mut seen = Vec::new();
    for _ in 0..MOST_PASSES {
        let actions = plan(&at("2"), &world.observed);
        actions.iter().for_each(|action| world.apply(action));
        seen.extend(actions);
    }
    let words: Vec<_> = seen.iter().map(ToString::to_string).collect();
    let found = &world.observed.partitions[&partition()];
    let subject = found.watched.clone().unwrap();
    let order = instance(RequestedState::Started, "2", "a").order(partition(), &Told::new());
    assert_eq!(
        words,
        [
            "slappart3: watch its promises no more".to_owned(),
            "slappart3: forget the last order".to_owned(),
            format!("slappart3: instantiate order {}", order.as_str()),
            format!("slappart3: watch its promises as {}", subject.as_str()),
            "slappart3: remember order 2".to_owned(),
        ]
    );
}

#[test]
fn what_promises_nothing_is_not_watched() {
    let mut world = World::new();
    let desired = wishes().remove(2);
    world.converge(&desired);
    let found = world.observed.partitions.get_mut(&partition()).unwrap();
    found.has_promises = false;
    let unwatch = Action::Partition(partition(), Step::Unwatch);
    assert_eq!(plan(&desired, &world.observed), [unwatch]);
    world.converge(&desired);
    assert_eq!(world.verdict(&desired), Some(Verdict::Started));
}

#[test]
fn what_is_to_be_kept_is_kept_and_then_takes_its_leave() {
    let mut world = World::new();
    world.converge(&wishes().remove(2));
    let mut destroyed = wishes().remove(2);
    let instance = instance(RequestedState::Destroyed, "9", "a");
    destroyed.partitions.insert(partition(), instance);
    let found = world.observed.partitions.get_mut(&partition()).unwrap();
    found.retention = Retention::NotBegun;
    found.takes_leave = true;
    let steps = |world: &World| plan(&destroyed, &world.observed);
    let of = |steps: &[Step]| -> Vec<_> {
        let steps = steps.iter().cloned();
        steps
            .map(|step| Action::Partition(partition(), step))
            .collect()
    };
    assert_eq!(steps(&world), of(&[Step::Halt, Step::Retain]));
    world.converge(&destroyed);
    assert_eq!(world.verdict(&destroyed), Some(Verdict::Stopped));
    let found = world.observed.partitions.get_mut(&partition()).unwrap();
    found.retention = Retention::Over;
    assert_eq!(steps(&world), of(&[Step::TakeLeave, Step::Wipe]));
    let found = &world.observed.partitions[&partition()];
    let gone = Some(&Software::Absent);
    let without = plan_partition(
        partition(),
        &destroyed.partitions[&partition()],
        gone,
        found,
    );
    assert_eq!(without, [Step::Wipe]);
}

#[test]
fn one_partition_that_is_not_ready_holds_up_no_other() {
    let mut world = World::new();
    let mut desired = wishes().remove(2);
    let other = PartitionName::new(PARTITION + 1);
    desired.partitions = BTreeMap::from([
        (other, instance(RequestedState::Started, "1", "a")),
        (partition(), instance(RequestedState::Started, "1", "a")),
    ]);
    let broken = Partition {
        ready: false,
        ..world.observed.partitions[&partition()].clone()
    };
    world.observed.partitions.insert(other, broken);
    world.converge(&desired);
    assert_eq!(world.verdict(&desired), Some(Verdict::Started));
}

#[test]
fn what_rests_after_a_failure_is_left_alone_and_what_runs_goes_on_running() {
    let mut world = World::new();
    let desired = wishes().remove(2);
    world.converge(&desired);
    let found = world.observed.partitions.get_mut(&partition()).unwrap();
    found.resting = true;
    found.order = None;
    assert_eq!(plan(&desired, &world.observed), []);
    let found = world.observed.partitions.get_mut(&partition()).unwrap();
    found.resting = false;
    let failed = Software::Failed {
        log: "no space".into(),
        removing: false,
        resting: true,
    };
    world.observed.software.insert(url(), failed);
    assert_eq!(plan(&desired, &world.observed), []);
}
