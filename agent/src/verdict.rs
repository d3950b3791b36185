//! What to tell the master of a partition or a release, from what is wanted and what is. Pure: no I/O, no clock.

use std::collections::BTreeMap;

use slap::{RequestedState, SupplyState};

use crate::desired::{Desired, Fingerprint, Instance, PartitionName, SoftwareUrl};
use crate::instances::retention::Retention;
use crate::observed::{Crashing, Partition, ProgramName, Promises, Software, Unit, UnitState};
use crate::plan::wanted_units;
use crate::workload::Report;

/// How far a partition has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Started,
    Stopped,
    Destroyed,
    /// On its way, and nothing went wrong so far.
    Pending,
    Failed(String),
}

/// Judges one partition.
pub fn judge(
    partition: PartitionName,
    instance: &Instance,
    desired: &Desired,
    software: Option<&Software>,
    found: &Partition,
) -> Verdict {
    if !found.ready {
        return Verdict::Failed("the partition has no user or no directory".to_owned());
    }
    if let Some(failure) = &found.failure {
        return Verdict::Failed(failure.clone());
    }
    let processed = found.processed.as_ref() == Some(&instance.timestamp);
    let ways = !found.redirected.is_empty() || !found.open.is_empty();
    let runs_nothing = found.units.is_empty() && !ways && !found.loose_ends;
    match instance.state {
        RequestedState::Started => judge_started(partition, instance, desired, software, found),
        RequestedState::Stopped if runs_nothing && processed => Verdict::Stopped,
        RequestedState::Destroyed if runs_nothing && found.retention == Retention::Lasts => {
            Verdict::Stopped
        }
        RequestedState::Destroyed if runs_nothing && found.empty => Verdict::Destroyed,
        RequestedState::Stopped | RequestedState::Destroyed => Verdict::Pending,
    }
}

/// Returns what the master shall hear of a partition.
pub fn reports(
    partition: PartitionName,
    instance: &Instance,
    found: &Partition,
    verdict: &Verdict,
) -> Vec<Report> {
    let mut reports = Vec::new();
    let configured = found.order == Some(instance.order(partition, &found.told));
    if instance.state == RequestedState::Started
        && configured
        && let Some(parameters) = &found.connection
        && *parameters != instance.connection
    {
        let parameters = parameters.clone();
        reports.push(Report::Connection {
            partition,
            parameters,
        });
    }
    for (share, parameters) in &found.shared {
        if !instance.knows(share, parameters) {
            reports.push(Report::SharedConnection {
                partition,
                share: share.clone(),
                parameters: parameters.clone(),
            });
        }
    }
    match verdict {
        Verdict::Started => {
            reports.push(Report::Started { partition });
            if !found.requested.is_empty() {
                let titles = found.requested.clone();
                reports.push(Report::Requested { partition, titles });
            }
        }
        Verdict::Stopped => reports.push(Report::Stopped { partition }),
        Verdict::Destroyed => reports.push(Report::Destroyed { partition }),
        Verdict::Pending => {}
        Verdict::Failed(message) => reports.push(Report::InstanceError {
            partition,
            message: message.clone(),
        }),
    }
    reports
}

/// Returns what the master shall hear of a release.
pub fn software_report(url: &SoftwareUrl, wanted: SupplyState, found: &Software) -> Option<Report> {
    let url = url.clone();
    match (wanted, found) {
        (SupplyState::Available, Software::Installing) => Some(Report::SoftwareBuilding { url }),
        (SupplyState::Available, Software::Available) => Some(Report::SoftwareAvailable { url }),
        (SupplyState::Destroyed, Software::Absent) => Some(Report::SoftwareDestroyed { url }),
        (_, Software::Failed { log, .. }) => {
            let log = log.clone();
            Some(Report::SoftwareError { url, log })
        }
        (SupplyState::Available, Software::Absent | Software::Removing)
        | (
            SupplyState::Destroyed,
            Software::Available | Software::Installing | Software::Removing,
        ) => None,
    }
}

fn judge_started(
    partition: PartitionName,
    instance: &Instance,
    desired: &Desired,
    software: Option<&Software>,
    found: &Partition,
) -> Verdict {
    let supplied = desired.software.get(&instance.software) == Some(&SupplyState::Available);
    match software {
        Some(Software::Available) => {}
        Some(Software::Failed { log, .. }) => {
            return Verdict::Failed(format!("its software release is not installed: {log}"));
        }
        _ if supplied => return Verdict::Pending,
        _ => {
            let url = &instance.software;
            return Verdict::Failed(format!("software release {url} is not present on system"));
        }
    }
    // What runs for an older order says nothing of this one.
    if found.due || found.order != Some(instance.order(partition, &found.told)) {
        return Verdict::Pending;
    }
    if found.full
        && let Some(disk) = found.limits.disk_in_words()
    {
        return Verdict::Failed(format!(
            "it has used all of the {disk} of the disk that it may, and can write no more"
        ));
    }
    if let Some(crashing) = &found.crashing {
        return Verdict::Failed(said_of(crashing, found));
    }
    if let Some(why) = &found.waits {
        return Verdict::Failed(why.clone());
    }
    if let Promises::Broken { message } = &found.promises {
        return Verdict::Failed(message.clone());
    }
    let wanted = wanted_units(partition, instance, found);
    let all_run = all_run(&wanted, &found.units) && all_run(&found.bridges, &found.open);
    let processed = found.processed.as_ref() == Some(&instance.timestamp);
    let promises_kept = !found.has_promises || found.promises == Promises::Kept;
    let redirects = found.redirected.keys().eq(&found.redirects);
    if all_run && redirects && processed && promises_kept {
        return Verdict::Started;
    }
    Verdict::Pending
}

fn said_of(
    Crashing {
        program,
        lacks_memory,
    }: &Crashing,
    found: &Partition,
) -> String {
    if *lacks_memory {
        let memory = found.limits.memory_in_words();
        return format!(
            "`{program}` ends again and again: the kernel kills it, since its instance uses more than the {memory} of memory that it may"
        );
    }
    format!("`{program}` ends again and again, see its journal")
}

fn all_run(
    wanted: &BTreeMap<ProgramName, Fingerprint>,
    found: &BTreeMap<ProgramName, Unit>,
) -> bool {
    wanted.len() == found.len()
        && wanted.iter().all(|(name, fingerprint)| {
            found.get(name).is_some_and(|unit| {
                unit.state == UnitState::Running && unit.fingerprint.as_ref() == Some(fingerprint)
            })
        })
}
