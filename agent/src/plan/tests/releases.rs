//! When releases come and go.

use super::*;

#[test]
fn what_cannot_be_installed_is_removed_without_a_rest() {
    let mut observed = Observed::default();
    let mut desired = Desired::default();
    for (wanted, removing, step) in [
        (SupplyState::Destroyed, false, Some(ReleaseStep::Remove)),
        (SupplyState::Destroyed, true, None),
        (SupplyState::Available, true, Some(ReleaseStep::Install)),
        (SupplyState::Available, false, None),
    ] {
        let failed = Software::Failed {
            log: "no space".into(),
            removing,
            resting: true,
        };
        observed.software.insert(url(), failed);
        desired.software.insert(url(), wanted);
        let steps = plan_releases(&desired, &observed);
        assert_eq!(steps.first().map(|(_, step)| *step), step, "{wanted:?}");
    }
}

#[test]
fn a_release_that_is_used_stays_until_its_last_instance_is_gone() {
    let mut world = World::new();
    let started = wishes().remove(2);
    world.converge(&started);
    let mut unsupplied = started.clone();
    unsupplied.software.insert(url(), SupplyState::Destroyed);
    assert_eq!(plan(&unsupplied, &world.observed), []);
    let destroyed = instance(RequestedState::Destroyed, "9", "a");
    unsupplied.partitions.insert(partition(), destroyed);
    let first = plan(&unsupplied, &world.observed);
    assert_eq!(
        first,
        [Step::Halt, Step::Wipe].map(|step| Action::Partition(partition(), step))
    );
    let found = world.observed.partitions.get_mut(&partition()).unwrap();
    (found.units, found.redirected) = (BTreeMap::new(), BTreeMap::new());
    found.open.clear();
    (found.slice, found.loose_ends) = (false, false);
    // Its programs have yet to say what it used.
    let wipe = Action::Partition(partition(), Step::Wipe);
    assert_eq!(plan(&unsupplied, &world.observed), [wipe]);
    world.observed.partitions.clear();
    assert_eq!(plan(&unsupplied, &world.observed), []);
}
