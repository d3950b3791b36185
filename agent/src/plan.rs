//! The steps from what the node is to what the master wants. Pure: no I/O, no clock.
//!
//! A plan goes as far as can be known; what a step brings about is observed before the next plan is made.

use std::collections::BTreeMap;
use std::fmt;

use slap::{RequestedState, SupplyState};

use crate::desired::{Desired, Fingerprint, Instance, PartitionName, SoftwareUrl};
use crate::observed::{Observed, Partition, ProgramName, Promises, Software, Unit, UnitState};

/// One step, complete in itself and harmless when repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Begin to install a release.
    Install(SoftwareUrl),
    /// Begin to remove a release.
    Remove(SoftwareUrl),
    /// Take back that the last order was carried out.
    Forget(PartitionName),
    /// Make the slice that accounts for the partition.
    MakeSlice(PartitionName),
    /// Let the release configure the partition.
    Instantiate {
        partition: PartitionName,
        order: Fingerprint,
    },
    /// Stop a program.
    Stop {
        partition: PartitionName,
        program: ProgramName,
    },
    /// Start a program.
    Start {
        partition: PartitionName,
        program: ProgramName,
        fingerprint: Fingerprint,
    },
    /// Look whether the promises are kept.
    Check(PartitionName),
    /// Note that the order was carried out in full.
    Remember {
        partition: PartitionName,
        timestamp: String,
    },
    /// Stop everything of the partition, and kill what does not stop.
    Halt(PartitionName),
    /// Remove everything that is in the partition.
    Wipe(PartitionName),
}

/// Returns the steps that turn `observed` into `desired`, in the order they must run.
pub fn plan(desired: &Desired, observed: &Observed) -> Vec<Action> {
    let mut actions = plan_software(desired, observed);
    for (partition, instance) in &desired.partitions {
        if let Some(found) = observed.partitions.get(partition) {
            let software = observed.software.get(&instance.software);
            actions.extend(plan_partition(*partition, instance, software, found));
        }
    }
    actions
}

/// Returns the steps about releases.
pub fn plan_software(desired: &Desired, observed: &Observed) -> Vec<Action> {
    let mut actions = Vec::new();
    for (url, wanted) in &desired.software {
        let found = observed.software.get(url).unwrap_or(&Software::Absent);
        match (wanted, found) {
            (
                SupplyState::Available,
                Software::Absent | Software::Failed { resting: false, .. },
            ) => {
                actions.push(Action::Install(url.clone()));
            }
            (
                SupplyState::Destroyed,
                Software::Available | Software::Failed { resting: false, .. },
            ) if !is_used(url, desired, observed) => {
                actions.push(Action::Remove(url.clone()));
            }
            _ => {}
        }
    }
    actions
}

/// Returns the steps about one partition.
pub fn plan_partition(
    partition: PartitionName,
    instance: &Instance,
    software: Option<&Software>,
    found: &Partition,
) -> Vec<Action> {
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
                vec![Action::Halt(partition)]
            } else {
                remember(partition, instance, found)
            }
        }
        RequestedState::Destroyed => {
            let halt = (runs_anything(found) || found.slice).then_some(Action::Halt(partition));
            let wipe = (!found.empty).then_some(Action::Wipe(partition));
            halt.into_iter().chain(wipe).collect()
        }
    }
}

fn plan_started(partition: PartitionName, instance: &Instance, found: &Partition) -> Vec<Action> {
    let slice = (!found.slice).then_some(Action::MakeSlice(partition));
    let order = instance.order(partition);
    if found.order.as_ref() != Some(&order) {
        let forget = found.processed.as_ref().map(|_| Action::Forget(partition));
        let instantiate = Action::Instantiate { partition, order };
        return forget
            .into_iter()
            .chain(slice)
            .chain([instantiate])
            .collect();
    }
    let wanted = wanted_units(partition, instance, found);
    let (stops, starts) = unit_steps(partition, &wanted, &found.units);
    if !stops.is_empty() || !starts.is_empty() {
        let slice = slice.filter(|_| !starts.is_empty());
        return stops.into_iter().chain(slice).chain(starts).collect();
    }
    if found.promises_due {
        return vec![Action::Check(partition)];
    }
    match found.promises {
        Promises::Kept => remember(partition, instance, found),
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
    let configuration = instance.configuration(partition);
    let unit = |content: &Fingerprint| {
        let both = format!("{}{}", content.as_str(), configuration.as_str());
        Fingerprint::of(both.as_bytes())
    };
    let programs = found.programs.iter();
    programs
        .map(|(program, content)| (program.clone(), unit(content)))
        .collect()
}

fn unit_steps(
    partition: PartitionName,
    wanted: &BTreeMap<ProgramName, Fingerprint>,
    found: &BTreeMap<ProgramName, Unit>,
) -> (Vec<Action>, Vec<Action>) {
    let fits = |program: &ProgramName, unit: &Unit| {
        let wanted = wanted.get(program);
        unit.state != UnitState::Ending && wanted.is_some() && wanted == unit.fingerprint.as_ref()
    };
    let stops = found
        .iter()
        .filter(|(program, unit)| !fits(program, unit))
        .map(|(program, _)| Action::Stop {
            partition,
            program: program.clone(),
        });
    let starts = wanted
        .iter()
        .filter(|(program, _)| !found.get(program).is_some_and(|unit| fits(program, unit)))
        .map(|(program, fingerprint)| Action::Start {
            partition,
            program: program.clone(),
            fingerprint: fingerprint.clone(),
        });
    (stops.collect(), starts.collect())
}

fn remember(partition: PartitionName, instance: &Instance, found: &Partition) -> Vec<Action> {
    if found.processed.as_ref() == Some(&instance.timestamp) {
        return Vec::new();
    }
    let timestamp = instance.timestamp.clone();
    vec![Action::Remember {
        partition,
        timestamp,
    }]
}

fn runs_anything(found: &Partition) -> bool {
    !found.units.is_empty() || found.loose_ends
}

/// Returns whether an instance needs the release, or still runs from it.
fn is_used(url: &SoftwareUrl, desired: &Desired, observed: &Observed) -> bool {
    let mut users = desired
        .partitions
        .iter()
        .filter(|(_, instance)| instance.software == *url);
    users.any(|(partition, instance)| {
        let found = observed.partitions.get(partition);
        // One that cannot be looked at, or is being worked on, may still run.
        instance.state != RequestedState::Destroyed || found.is_none_or(runs_anything)
    })
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Install(url) => write!(f, "install {url}"),
            Self::Remove(url) => write!(f, "remove {url}"),
            Self::Forget(partition) => write!(f, "{partition}: forget the last order"),
            Self::MakeSlice(partition) => write!(f, "{partition}: make its slice"),
            Self::Instantiate { partition, order } => {
                write!(f, "{partition}: instantiate order {}", order.as_str())
            }
            Self::Stop { partition, program } => write!(f, "{partition}: stop {program}"),
            Self::Start {
                partition, program, ..
            } => write!(f, "{partition}: start {program}"),
            Self::Check(partition) => write!(f, "{partition}: check its promises"),
            Self::Remember {
                partition,
                timestamp,
            } => write!(f, "{partition}: remember order {timestamp}"),
            Self::Halt(partition) => write!(f, "{partition}: stop everything"),
            Self::Wipe(partition) => write!(f, "{partition}: remove everything"),
        }
    }
}

#[cfg(test)]
mod tests;
