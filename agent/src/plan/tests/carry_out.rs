//! A partition on which every step works.

use super::*;

/// Does what a step says, where what it needs is so.
pub(super) fn carry_out(step: &Step, found: &mut Partition) {
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
        Step::Ration => found.rationed = true,
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
            found.units.insert(program.clone(), running(fingerprint));
        }
        Step::CloseBridge(name) => assert!(found.open.remove(name).is_some()),
        Step::OpenBridge(name, fingerprint) => {
            assert!(found.slice && !found.open.contains_key(name));
            found.open.insert(name.clone(), running(fingerprint));
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
        Step::Halt => halt(found),
        Step::Retain => found.retention = Retention::Lasts,
        Step::TakeLeave => assert!(found.takes_leave && found.units.is_empty()),
        Step::Wipe => wipe(found),
    }
}

fn instantiate(order: &Fingerprint, found: &mut Partition) {
    assert!(
        found.certified
            && found.housed
            && found.rationed
            && found.slice
            && found.processed.is_none()
    );
    found.order = Some(order.clone());
    found.empty = false;
    assert_eq!(found.watched, None);
    found.bridges = [(program("web"), Fingerprint::new("bridge"))].into();
    found.has_promises = true;
    found.programs = ["web", "task"]
        .map(|name| (program(name), Fingerprint::of(name.as_bytes())))
        .into();
}

fn halt(found: &mut Partition) {
    (found.units, found.redirected) = (BTreeMap::new(), BTreeMap::new());
    found.open.clear();
    (found.slice, found.loose_ends) = (false, false);
    (found.watched, found.promises) = (None, Promises::Unknown);
}

fn running(as_what: &Fingerprint) -> Unit {
    Unit {
        state: UnitState::Running,
        fingerprint: Some(as_what.clone()),
    }
}

fn wipe(found: &mut Partition) {
    assert!(found.retention == Retention::Over);
    assert!(found.units.is_empty() && !found.loose_ends);
    found.empty = true;
    found.processed = None;
    found.order = None;
    found.programs.clear();
    found.bridges.clear();
    found.has_promises = false;
    found.certified = false;
    found.takes_leave = false;
    (found.asks, found.told) = (None, Told::new());
}
