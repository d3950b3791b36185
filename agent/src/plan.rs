//! The steps from what the node is to what the master wants. Pure: no I/O, no clock.
//!
//! A plan goes as far as can be known; what a step brings about is observed before the next plan is made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use slap::{RequestedState, SupplyState};

use crate::desired::{Desired, Fingerprint, Instance, PartitionName, SoftwareUrl};
use crate::instances::retention::Retention;
use crate::observed::{
    Collection, Leftover, Observed, Partition, ProgramName, Promises, Software, Unit, UnitState,
};
use crate::software::ReleaseId;

/// One step, complete in itself and harmless when repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Release(SoftwareUrl, ReleaseStep),
    /// Remove a release that the master does not speak of; it goes on in the background.
    Collect(ReleaseId),
    Partition(PartitionName, Step),
}

/// A step about a release; it goes on in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseStep {
    Install,
    Remove,
}

/// A step about a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take back that the last order was carried out, in full or in part.
    Forget,
    /// Make the slice that accounts for the partition.
    MakeSlice,
    /// Have the folders on other disks be this instance's.
    TakeFolders,
    /// Have the disk hold it to what it may use of it.
    Ration,
    /// Give it the block devices that it asks for, and take others back.
    TakeDevices,
    /// Hold what runs to other limits.
    Limit,
    /// Have the firewall let those reach it, and it reach those, that shall.
    Guard,
    /// Fetch the certificate by which it is known to its master.
    Certify,
    /// Ask the master for what it requests of others.
    Ask(Fingerprint),
    /// Let the release configure the partition for an order.
    Instantiate(Fingerprint),
    /// Stop a program.
    Stop(ProgramName),
    /// Start a program, as what its fingerprint says.
    Start(ProgramName, Fingerprint),
    /// Make a redirection.
    Redirect(ProgramName),
    /// End a redirection.
    EndRedirect(ProgramName),
    /// Open a way from its IPv6 to its IPv4, as what its fingerprint says.
    OpenBridge(ProgramName, Fingerprint),
    /// Close one.
    CloseBridge(ProgramName),
    /// Watch the promises of what this stands for, none of which is known to be kept.
    Watch(Fingerprint),
    /// Watch no promises while the partition changes.
    Unwatch,
    /// Note that the order with this timestamp was carried out in full.
    Remember(String),
    /// Stop everything of the partition, and kill what does not stop.
    Halt,
    /// Note until when everything in it is kept.
    Retain,
    /// Run what it wants to run at its end.
    TakeLeave,
    /// Remove everything that is in the partition.
    Wipe,
}

/// As long nobody has to want a release before it goes by itself: to build it again may take hours.
pub const IDLE_FOR_LONG: Duration = Duration::from_secs(7 * 24 * 3600);

/// Returns the steps that turn `observed` into `desired`, in the order they must run.
pub fn plan(desired: &Desired, observed: &Observed) -> Vec<Action> {
    let releases = plan_releases(desired, observed).into_iter();
    let mut actions: Vec<_> = releases
        .map(|(url, step)| Action::Release(url, step))
        .collect();
    let leftovers = plan_collection(desired, observed).into_iter();
    actions.extend(leftovers.map(Action::Collect));
    for (partition, instance) in &desired.partitions {
        if let Some(found) = observed.partitions.get(partition) {
            let software = observed.software.get(&instance.software);
            let steps = plan_partition(*partition, instance, software, found).into_iter();
            actions.extend(steps.map(|step| Action::Partition(*partition, step)));
        }
    }
    actions
}

/// Returns the steps about releases.
pub fn plan_releases(desired: &Desired, observed: &Observed) -> Vec<(SoftwareUrl, ReleaseStep)> {
    let mut steps = Vec::new();
    for (url, wanted) in &desired.software {
        let found = observed.software.get(url).unwrap_or(&Software::Absent);
        match (wanted, found) {
            (
                SupplyState::Available,
                Software::Absent
                | Software::Failed { resting: false, .. }
                | Software::Failed { removing: true, .. },
            ) => steps.push((url.clone(), ReleaseStep::Install)),
            (
                SupplyState::Destroyed,
                Software::Available
                | Software::Failed { resting: false, .. }
                | Software::Failed {
                    removing: false, ..
                },
            ) if !is_used(url, desired, observed) => {
                steps.push((url.clone(), ReleaseStep::Remove));
            }
            _ => {}
        }
    }
    steps
}

/// Returns the releases to remove of which the master does not speak and that nothing on the node needs.
pub fn plan_collection(desired: &Desired, observed: &Observed) -> Vec<ReleaseId> {
    // What could not be understood may be about any of them.
    if !desired.refused.is_empty() {
        return Vec::new();
    }
    let enough = match observed.collection {
        Collection::Nothing => return Vec::new(),
        Collection::Idle => IDLE_FOR_LONG,
        Collection::All => Duration::ZERO,
    };
    let named = desired.releases();
    let may_go = |id: &ReleaseId, leftover: &Leftover| {
        let is_free = match leftover.found {
            Software::Absent | Software::Available => true,
            Software::Failed { resting, .. } => !resting || observed.collection == Collection::All,
            Software::Installing | Software::Removing => false,
        };
        is_free && !leftover.used && leftover.idle >= enough && !named.contains(id)
    };
    let leftovers = observed.leftovers.iter();
    let gone = leftovers.filter(|(id, leftover)| may_go(id, leftover));
    gone.map(|(id, _)| id.clone()).collect()
}

/// Returns the steps about one partition.
pub fn plan_partition(
    partition: PartitionName,
    instance: &Instance,
    software: Option<&Software>,
    found: &Partition,
) -> Vec<Step> {
    if !found.ready || found.resting {
        return Vec::new();
    }
    match instance.state {
        RequestedState::Started if software == Some(&Software::Available) => {
            plan_started(partition, instance, found)
        }
        // What runs goes on running while its release cannot be looked at.
        RequestedState::Started => Vec::new(),
        RequestedState::Stopped => {
            if runs_anything(found) {
                vec![Step::Halt]
            } else {
                remember(instance, found)
            }
        }
        RequestedState::Destroyed => {
            let halt = (runs_anything(found) || found.slice).then_some(Step::Halt);
            let rest = match found.retention {
                Retention::NotBegun => vec![Step::Retain],
                Retention::Lasts => Vec::new(),
                Retention::Over if found.empty => Vec::new(),
                // Without its release nothing of it can run.
                Retention::Over if found.takes_leave && software == Some(&Software::Available) => {
                    vec![Step::TakeLeave, Step::Wipe]
                }
                Retention::Over => vec![Step::Wipe],
            };
            halt.into_iter().chain(rest).collect()
        }
    }
}

fn plan_started(partition: PartitionName, instance: &Instance, found: &Partition) -> Vec<Step> {
    let slice = (!found.slice).then_some(Step::MakeSlice);
    if found.slice && found.held_to.as_ref() != Some(&found.limits.fingerprint()) {
        return vec![Step::Limit];
    }
    let certify = (!found.certified).then_some(Step::Certify);
    if let Some(subject) = &found.asks {
        // What it is made from says what came of it.
        let ask = Step::Ask(subject.clone());
        return certify.into_iter().chain([ask]).collect();
    }
    let order = instance.order(partition, &found.told);
    let folders = (!found.housed).then_some(Step::TakeFolders);
    let ration = (!found.rationed).then_some(Step::Ration);
    let equip = folders.into_iter().chain(ration).chain(certify);
    let unwatch = found.watched.as_ref().map(|_| Step::Unwatch);
    if found.due || found.order.as_ref() != Some(&order) {
        let forget = (found.due || found.processed.is_some()).then_some(Step::Forget);
        let instantiate = Step::Instantiate(order);
        let first = unwatch.into_iter().chain(forget).chain(slice);
        return first.chain(equip).chain([instantiate]).collect();
    }
    let equip: Vec<_> = equip.collect();
    if !equip.is_empty() {
        return equip;
    }
    if !found.equipped || !found.guarded {
        let devices = (!found.equipped).then_some(Step::TakeDevices);
        let guard = (!found.guarded).then_some(Step::Guard);
        return devices.into_iter().chain(guard).collect();
    }
    let wanted = wanted_units(partition, instance, found);
    let (stops, starts) = unit_steps(&wanted, &found.units);
    if !stops.is_empty() || !starts.is_empty() {
        let slice = slice.filter(|_| !starts.is_empty());
        return stops.into_iter().chain(slice).chain(starts).collect();
    }
    let (ends, redirects) = redirect_steps(found);
    let (closes, opens) = bridge_steps(found);
    let ends: Vec<_> = ends.into_iter().chain(closes).collect();
    let begins: Vec<_> = redirects.into_iter().chain(opens).collect();
    if !ends.is_empty() || !begins.is_empty() {
        return ends.into_iter().chain(slice).chain(begins).collect();
    }
    if !found.has_promises {
        let rest = remember_all(instance, found);
        return unwatch.into_iter().chain(rest).collect();
    }
    let subject = subject(&order, &[&wanted, &found.bridges]);
    if found.watched.as_ref() != Some(&subject) {
        return vec![Step::Watch(subject)];
    }
    match found.promises {
        Promises::Kept => remember_all(instance, found),
        Promises::Unknown | Promises::Broken { .. } => Vec::new(),
    }
}

/// Returns what each program of the partition shall run as. A new configuration makes every program start anew, since
/// nobody knows which of them read it.
pub fn wanted_units(
    partition: PartitionName,
    instance: &Instance,
    found: &Partition,
) -> BTreeMap<ProgramName, Fingerprint> {
    let configuration = instance.configuration(partition, &found.told);
    let unit = |content: &Fingerprint| {
        let given = found.given.join("\0");
        let all = format!("{}{}{given}", content.as_str(), configuration.as_str());
        Fingerprint::of(all.as_bytes())
    };
    let programs = found.programs.iter();
    programs
        .map(|(program, content)| (program.clone(), unit(content)))
        .collect()
}

/// Returns what the promises are about: the order, and the programs and bridges as they are for it.
fn subject(order: &Fingerprint, wanted: &[&BTreeMap<ProgramName, Fingerprint>]) -> Fingerprint {
    let programs = wanted.iter().copied().flatten();
    let programs = programs.map(|(name, fingerprint)| format!("{name} {}", fingerprint.as_str()));
    let programs: Vec<_> = programs.collect();
    Fingerprint::of(format!("{}\0{}", order.as_str(), programs.join("\0")).as_bytes())
}

type Changes = (Vec<ProgramName>, Vec<(ProgramName, Fingerprint)>);

fn unit_steps(
    wanted: &BTreeMap<ProgramName, Fingerprint>,
    found: &BTreeMap<ProgramName, Unit>,
) -> (Vec<Step>, Vec<Step>) {
    let (stops, starts) = changes(wanted, found);
    let starts = starts
        .into_iter()
        .map(|(name, as_what)| Step::Start(name, as_what));
    (
        stops.into_iter().map(Step::Stop).collect(),
        starts.collect(),
    )
}

fn bridge_steps(found: &Partition) -> (Vec<Step>, Vec<Step>) {
    let (closes, opens) = changes(&found.bridges, &found.open);
    let opens = opens
        .into_iter()
        .map(|(name, as_what)| Step::OpenBridge(name, as_what));
    (
        closes.into_iter().map(Step::CloseBridge).collect(),
        opens.collect(),
    )
}

/// Returns which units shall end, and which shall be made.
fn changes(
    wanted: &BTreeMap<ProgramName, Fingerprint>,
    found: &BTreeMap<ProgramName, Unit>,
) -> Changes {
    let fits = |program: &ProgramName, unit: &Unit| {
        let wanted = wanted.get(program);
        unit.state != UnitState::Ending && wanted.is_some() && wanted == unit.fingerprint.as_ref()
    };
    let stops = found
        .iter()
        .filter(|(program, unit)| !fits(program, unit))
        .map(|(program, _)| program.clone());
    let starts = wanted
        .iter()
        .filter(|(program, _)| !found.get(program).is_some_and(|unit| fits(program, unit)))
        .map(|(program, fingerprint)| (program.clone(), fingerprint.clone()));
    (stops.collect(), starts.collect())
}

fn remember_all(instance: &Instance, found: &Partition) -> Vec<Step> {
    match found.waits {
        Some(_) => Vec::new(),
        None => remember(instance, found),
    }
}

fn redirect_steps(found: &Partition) -> (Vec<Step>, Vec<Step>) {
    let fits = |(name, state): &(&ProgramName, &UnitState)| {
        found.redirects.contains(*name) && **state != UnitState::Ending
    };
    let good: BTreeSet<_> = found
        .redirected
        .iter()
        .filter(fits)
        .map(|it| it.0)
        .collect();
    let ends = found.redirected.keys().filter(|name| !good.contains(name));
    let begins = found.redirects.iter().filter(|name| !good.contains(name));
    (
        ends.cloned().map(Step::EndRedirect).collect(),
        begins.cloned().map(Step::Redirect).collect(),
    )
}

fn remember(instance: &Instance, found: &Partition) -> Vec<Step> {
    if found.processed.as_ref() == Some(&instance.timestamp) {
        return Vec::new();
    }
    vec![Step::Remember(instance.timestamp.clone())]
}

fn runs_anything(found: &Partition) -> bool {
    let ways = !found.redirected.is_empty() || !found.open.is_empty();
    !found.units.is_empty() || ways || found.loose_ends
}

/// Returns whether an instance needs the release, still runs from it, or has yet to say by its programs what it used.
fn is_used(url: &SoftwareUrl, desired: &Desired, observed: &Observed) -> bool {
    let mut users = desired
        .partitions
        .iter()
        .filter(|(_, instance)| instance.software == *url);
    users.any(|(partition, instance)| {
        let found = observed.partitions.get(partition);
        // One that cannot be looked at, or is being worked on, may still run.
        let is_left = |found: &Partition| runs_anything(found) || !found.empty;
        instance.state != RequestedState::Destroyed || found.is_none_or(is_left)
    })
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release(url, ReleaseStep::Install) => write!(f, "install {url}"),
            Self::Release(url, ReleaseStep::Remove) => write!(f, "remove {url}"),
            Self::Collect(id) => write!(f, "remove the release {id}, which nobody wants"),
            Self::Partition(partition, step) => write!(f, "{partition}: {step}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forget => f.write_str("forget the last order"),
            Self::MakeSlice => f.write_str("make its slice"),
            Self::TakeFolders => f.write_str("take its folders on other disks"),
            Self::Ration => f.write_str("hold it to what it may use of the disk"),
            Self::TakeDevices => f.write_str("give it the block devices that it asks for"),
            Self::Limit => f.write_str("hold it to other limits"),
            Self::Ask(_) => f.write_str("ask for what it requests"),
            Self::Guard => f.write_str("set the firewall for it"),
            Self::Certify => f.write_str("fetch its certificate"),
            Self::Instantiate(order) => write!(f, "instantiate order {}", order.as_str()),
            Self::Stop(program) => write!(f, "stop {program}"),
            Self::Start(program, _) => write!(f, "start {program}"),
            Self::Redirect(name) => write!(f, "make the redirection {name}"),
            Self::EndRedirect(name) => write!(f, "end the redirection {name}"),
            Self::OpenBridge(name, _) => write!(f, "open bridge {name}"),
            Self::CloseBridge(name) => write!(f, "close bridge {name}"),
            Self::Watch(subject) => write!(f, "watch its promises as {}", subject.as_str()),
            Self::Unwatch => f.write_str("watch its promises no more"),
            Self::Remember(timestamp) => write!(f, "remember order {timestamp}"),
            Self::Halt => f.write_str("stop everything"),
            Self::Retain => f.write_str("keep everything for a while"),
            Self::TakeLeave => f.write_str("let it take its leave"),
            Self::Wipe => f.write_str("remove everything"),
        }
    }
}

#[cfg(test)]
mod tests;
