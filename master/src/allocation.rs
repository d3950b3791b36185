//! Which computer gets an instance: a pure choice among those that could take it, or the reason why none does.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use slap::PartitionId;
use slap::state::SoftwareReport;

use crate::clock::Moment;
use crate::identity::ComputerId;

/// A computer that was not heard of for longer comes after those that were.
const SILENT_AFTER: Duration = Duration::from_mins(5);

/// SLA keys that say something about the node's work and not about which node.
const PASSED_ON: [&str; 1] = ["retention_delay"];

/// What is asked for.
#[derive(Debug)]
pub struct Wish<'a> {
    pub sla: &'a BTreeMap<String, String>,
    pub shared: bool,
}

/// An enrolled computer on which the software is supplied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub computer: ComputerId,
    pub software: Option<SoftwareReport>,
    pub last_contact: Option<Moment>,
    pub busy: u64,
    pub free: Option<PartitionId>,
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
    Shared,
    UnknownKey(String),
    NotSupplied,
    NotSuppliedOn(String),
    Full(Vec<ComputerId>),
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared => f.write_str("shared instances are not allocated by this master"),
            Self::UnknownKey(key) => write!(
                f,
                "no node matches `{key}`: this master does not know that key"
            ),
            Self::NotSupplied => f.write_str("the software is supplied on no enrolled computer"),
            Self::NotSuppliedOn(computer) => {
                write!(
                    f,
                    "the software is not supplied on `{computer}`, or no such computer is enrolled"
                )
            }
            Self::Full(computers) => {
                let names: Vec<_> = computers.iter().map(ToString::to_string).collect();
                write!(f, "no free partition on {}", names.join(", "))
            }
        }
    }
}

/// Chooses a free partition.
///
/// First where the software is installed already, then where the node was heard of lately, then where the fewest instances are.
pub fn allocate(wish: &Wish<'_>, candidates: &[Candidate], now: Moment) -> Result<Choice, Waiting> {
    if wish.shared {
        return Err(Waiting::Shared);
    }
    let known = |key: &str| key == "computer_guid" || PASSED_ON.contains(&key);
    if let Some(key) = wish.sla.keys().find(|key| !known(key)) {
        return Err(Waiting::UnknownKey(key.clone()));
    }
    let wanted = wish.sla.get("computer_guid");
    let matching: Vec<&Candidate> = candidates
        .iter()
        .filter(|it| wanted.is_none_or(|wanted| wanted == it.computer.as_str()))
        .collect();
    if matching.is_empty() {
        return Err(wanted.map_or(Waiting::NotSupplied, |wanted| {
            Waiting::NotSuppliedOn(wanted.clone())
        }));
    }
    matching
        .iter()
        .filter_map(|it| Some((*it, it.free.clone()?)))
        .min_by_key(|(it, _)| (reluctance(it, now), it.busy, it.computer.clone()))
        .map(|(it, partition)| Choice {
            computer: it.computer.clone(),
            partition,
        })
        .ok_or_else(|| Waiting::Full(matching.iter().map(|it| it.computer.clone()).collect()))
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_seconds(10_000);

    fn candidate(number: u64) -> Candidate {
        Candidate {
            computer: ComputerId::numbered(number),
            software: Some(SoftwareReport::Available),
            last_contact: Some(NOW),
            busy: 0,
            free: Some(PartitionId::indexed(0)),
        }
    }

    fn check(sla: &[(&str, &str)], candidates: &[Candidate], expected: Result<u64, &str>) {
        let sla = sla
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let wish = Wish {
            sla: &sla,
            shared: false,
        };
        let got = allocate(&wish, candidates, NOW);
        assert_eq!(
            got.map(|it| it.computer).map_err(|it| it.to_string()),
            expected
                .map(ComputerId::numbered)
                .map_err(ToOwned::to_owned)
        );
    }

    #[test]
    fn the_named_computer_or_none() {
        let both = [candidate(1), candidate(2)];
        check(&[("computer_guid", "COMP-2")], &both, Ok(2));
        check(
            &[("computer_guid", "COMP-3")],
            &both,
            Err("the software is not supplied on `COMP-3`, or no such computer is enrolled"),
        );
        check(
            &[],
            &[],
            Err("the software is supplied on no enrolled computer"),
        );
    }

    #[test]
    fn an_unknown_key_never_matches_and_says_so() {
        check(
            &[("region", "moon")],
            &[candidate(1)],
            Err("no node matches `region`: this master does not know that key"),
        );
        check(&[("retention_delay", "7.0")], &[candidate(1)], Ok(1));
    }

    #[test]
    fn a_full_computer_takes_nothing() {
        let full = Candidate {
            free: None,
            ..candidate(1)
        };
        check(
            &[],
            std::slice::from_ref(&full),
            Err("no free partition on COMP-1"),
        );
        check(&[], &[full, candidate(2)], Ok(2));
    }

    #[test]
    fn installed_before_building_and_heard_before_silent_and_idle_before_busy() {
        let building = Candidate {
            software: Some(SoftwareReport::Building),
            ..candidate(1)
        };
        check(&[], &[building, candidate(2)], Ok(2));
        let silent = Candidate {
            last_contact: Some(Moment::from_seconds(9_000)),
            ..candidate(1)
        };
        check(&[], &[silent, candidate(2)], Ok(2));
        let busy = Candidate {
            busy: 3,
            ..candidate(1)
        };
        check(&[], &[busy, candidate(2)], Ok(2));
    }
}
