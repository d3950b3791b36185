//! Which computer gets an instance, and which instance gets a share: a pure choice among those that could take it, or the reason why none does.

mod conditions;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use slap::state::SoftwareReport;
use slap::{InstanceGuid, PartitionId};

use crate::clock::Moment;
use crate::identity::{ComputerId, ProjectName};

pub use conditions::{ConditionError, Conditions, Traits, minds_networks, network};

/// A computer that was not heard of for longer comes after those that were.
const SILENT_AFTER: Duration = Duration::from_mins(5);

/// What is asked for.
#[derive(Debug)]
pub struct Wish<'a> {
    pub sla: &'a BTreeMap<String, String>,
    pub software_type: &'a str,
    /// The project that the instance is in: what is not in it is no candidate.
    pub project: &'a ProjectName,
    /// The networks that the rest of the instance's tree is on.
    pub taken_networks: &'a BTreeSet<String>,
}

/// An enrolled computer on which the software is supplied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub computer: ComputerId,
    pub traits: Traits,
    pub software: Option<SoftwareReport>,
    pub last_contact: Option<Moment>,
    pub busy: u64,
    pub free: Option<PartitionId>,
}

/// An instance of the software that has a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub instance: InstanceGuid,
    pub software_type: String,
    pub computer: ComputerId,
    pub traits: Traits,
    /// How many share it.
    pub shares: u64,
}

/// Where an instance goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub computer: ComputerId,
    pub partition: PartitionId,
}

/// Why an instance waits; shown to whoever asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    Condition(ConditionError),
    NotSupplied(ProjectName),
    NotSuppliedOn(String),
    /// The first condition that each computer does not meet.
    Unmet(BTreeMap<ComputerId, String>),
    /// Where nothing is free, and the capability that is asked for.
    Full(Vec<ComputerId>, Option<String>),
    NoHost,
    NoSuchHost(String),
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Condition(error) => write!(f, "{error}"),
            Self::NotSupplied(project) => write!(
                f,
                "the software is supplied on no enrolled computer of the project `{project}`"
            ),
            Self::NotSuppliedOn(computer) => write!(
                f,
                "the software is not supplied on `{computer}`, or no such computer is enrolled"
            ),
            Self::Unmet(computers) => {
                let each = computers.iter().map(|(it, unmet)| format!("{it} not {unmet}"));
                write!(
                    f,
                    "no computer that has the software meets the conditions: {}",
                    each.collect::<Vec<_>>().join(", ")
                )
            }
            Self::Full(computers, capability) => {
                let names: Vec<_> = computers.iter().map(ToString::to_string).collect();
                let with = match capability {
                    Some(capability) => format!(" with the capability `{capability}`"),
                    None => String::new(),
                };
                write!(f, "no free partition{with} on {}", names.join(", "))
            }
            Self::NoHost => f.write_str(
                "no instance of this software and type runs that could be shared: request one that is not shared first",
            ),
            Self::NoSuchHost(condition) => {
                write!(f, "no instance that could be shared meets `{condition}`")
            }
        }
    }
}

/// Chooses a free partition.
///
/// First where the software is installed already, then where the node was heard of lately, then where the fewest instances are.
pub fn allocate(wish: &Wish<'_>, candidates: &[Candidate], now: Moment) -> Result<Choice, Waiting> {
    let conditions =
        Conditions::understand(wish.sla, wish.project, false).map_err(Waiting::Condition)?;
    if candidates.is_empty() {
        return Err(Waiting::NotSupplied(wish.project.clone()));
    }
    if let Some(wanted) = conditions.computer()
        && !candidates.iter().any(|it| it.computer.as_str() == wanted)
    {
        return Err(Waiting::NotSuppliedOn(wanted.to_owned()));
    }
    let unmet = |it: &Candidate| conditions.unmet(&it.computer, &it.traits, wish.taken_networks);
    let matching: Vec<&Candidate> = candidates.iter().filter(|it| unmet(it).is_none()).collect();
    if matching.is_empty() {
        let why = |it: &Candidate| Some((it.computer.clone(), unmet(it)?));
        return Err(Waiting::Unmet(candidates.iter().filter_map(why).collect()));
    }
    matching
        .iter()
        .filter_map(|it| Some((*it, it.free.clone()?)))
        .min_by_key(|(it, _)| (reluctance(it, now), it.busy, it.computer.clone()))
        .map(|(it, partition)| Choice {
            computer: it.computer.clone(),
            partition,
        })
        .ok_or_else(|| {
            let computers = matching.iter().map(|it| it.computer.clone());
            Waiting::Full(computers.collect(), wish.sla.get("capability").cloned())
        })
}

fn reluctance(candidate: &Candidate, now: Moment) -> (u8, bool) {
    let software = match candidate.software {
        Some(SoftwareReport::Available) => 0,
        None | Some(SoftwareReport::Building) => 1,
        Some(SoftwareReport::Destroyed | SoftwareReport::Error) => 2,
    };
    let silent = candidate
        .last_contact
        .is_none_or(|at| now.since(at) > SILENT_AFTER);
    (software, silent)
}

/// Chooses an instance to share: of the right type, and of those the one that the fewest share.
pub fn choose_host(wish: &Wish<'_>, hosts: &[Host]) -> Result<InstanceGuid, Waiting> {
    let conditions =
        Conditions::understand(wish.sla, wish.project, true).map_err(Waiting::Condition)?;
    let right: Vec<&Host> = hosts
        .iter()
        .filter(|it| wish.software_type.is_empty() || it.software_type == wish.software_type)
        .collect();
    if right.is_empty() {
        return Err(Waiting::NoHost);
    }
    let unmet = |it: &Host| match conditions.instance() {
        Some(wanted) if wanted != it.instance.as_str() => Some(format!("instance_guid={wanted}")),
        Some(_) | None => conditions.unmet(&it.computer, &it.traits, wish.taken_networks),
    };
    right
        .iter()
        .filter(|it| unmet(it).is_none())
        .min_by_key(|it| (it.shares, &it.instance))
        .map(|it| it.instance.clone())
        .ok_or_else(|| {
            let condition = right.iter().find_map(|it| unmet(it));
            Waiting::NoSuchHost(condition.unwrap_or_default())
        })
}

#[cfg(test)]
mod tests;
