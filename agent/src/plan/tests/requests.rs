//! What is requested is asked for before anything is made of it, and what is not there yet stops nothing that runs.

use super::*;

#[test]
fn what_is_requested_is_asked_for_first_and_makes_another_instance() {
    let mut world = World::new();
    let desired = wishes().remove(2);
    world.converge(&desired);
    let found = world.observed.partitions.get_mut(&partition()).unwrap();
    found.asks = Some(Fingerprint::new("asks"));
    let ask = Step::Ask(Fingerprint::new("asks"));
    let ask = Action::Partition(partition(), ask);
    assert_eq!(plan(&desired, &world.observed), [ask]);
    let before = world.observed.partitions[&partition()].order.clone();
    world.converge(&desired);
    let found = &world.observed.partitions[&partition()];
    assert!(found.order != before && found.told.contains_key("child"));
    assert_eq!(world.verdict(&desired), Some(Verdict::Started));
}

#[test]
fn who_waits_for_others_says_so_and_runs_on() {
    let mut world = World::new();
    let desired = wishes().remove(2);
    world.converge(&desired);
    let found = world.observed.partitions.get_mut(&partition()).unwrap();
    (found.waits, found.processed) = (Some("it waits".into()), None);
    assert_eq!(plan(&desired, &world.observed), []);
    let failed = Verdict::Failed("it waits".into());
    assert_eq!(world.verdict(&desired), Some(failed));
    // A boot: what it had runs again, whatever it waits for.
    let found = world.observed.partitions.get_mut(&partition()).unwrap();
    (found.units, found.slice) = (BTreeMap::new(), false);
    world.converge(&desired);
    assert_eq!(world.observed.partitions[&partition()].units.len(), 2);
}
