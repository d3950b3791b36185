//! Releases of which the master does not speak.

use super::*;

/// A release that the master does not speak of, and that nobody has wanted for so long.
fn leftover(days: u64) -> Leftover {
    Leftover {
        used: false,
        found: Software::Available,
        idle: Duration::from_secs(days * 24 * 3600),
    }
}

#[test]
fn what_nobody_wants_goes_when_it_is_time() {
    let lost = ReleaseId::of(&SoftwareUrl::new("https://releases.example/lost.cfg"));
    let failed = |resting| Software::Failed {
        log: "the disk".into(),
        removing: true,
        resting,
    };
    let used = Leftover {
        used: true,
        ..leftover(8)
    };
    let at_work = |found| Leftover {
        found,
        ..leftover(8)
    };
    use Collection::{All, Idle, Nothing};
    for (found, collection, goes) in [
        (leftover(7), Idle, true),
        (leftover(6), Idle, false),
        (leftover(0), All, true),
        (leftover(8), Nothing, false),
        (used.clone(), Idle, false),
        (used, All, false),
        (at_work(Software::Removing), All, false),
        (at_work(Software::Installing), All, false),
        (at_work(Software::Absent), Idle, true),
        (at_work(failed(true)), Idle, false),
        (at_work(failed(true)), All, true),
        (at_work(failed(false)), Idle, true),
    ] {
        let observed = Observed {
            leftovers: BTreeMap::from([(lost.clone(), found)]),
            collection,
            ..Observed::default()
        };
        let steps = plan(&Desired::default(), &observed);
        let expected = goes.then(|| Action::Collect(lost.clone()));
        assert_eq!(steps, Vec::from_iter(expected), "{observed:?}");
    }
}

#[test]
fn nothing_goes_that_is_named_or_while_something_was_not_understood() {
    let observed = Observed {
        leftovers: BTreeMap::from([(ReleaseId::of(&url()), leftover(99))]),
        collection: Collection::All,
        ..Observed::default()
    };
    let mut desired = Desired::default();
    let words = plan(&desired, &observed)[0].to_string();
    let id = ReleaseId::of(&url());
    assert_eq!(
        words,
        format!("remove the release {id}, which nobody wants")
    );
    desired.refused.insert("slappartX".into(), "what".into());
    assert_eq!(plan(&desired, &observed), []);
    desired.refused.clear();
    let instance = instance(RequestedState::Destroyed, "1", "a");
    desired.partitions.insert(partition(), instance);
    assert_eq!(plan_collection(&desired, &observed), []);
    desired.partitions.clear();
    desired.software.insert(url(), SupplyState::Destroyed);
    assert_eq!(plan_collection(&desired, &observed), []);
}
