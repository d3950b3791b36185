//! The conditions of a request on where it may be (SLAP's filter, "SLA"): which key means what, and whether a computer meets them. Pure.
//!
//! Keys are those of the original master. One that is not known never matches: a condition that is not understood is not met.

use std::collections::{BTreeMap, BTreeSet};

use crate::identity::{ComputerId, ProjectName};

/// Keys that say nothing about which node.
const PASSED_ON: [&str; 5] = [
    // Which partition of the node: what is free is asked for by it.
    "capability",
    "retention_delay",
    "fw_restricted_access",
    "fw_rejected_sources",
    "fw_authorized_sources",
];

/// Keys that a label of the computer must equal.
const LABELS: [&str; 8] = [
    "cpu_type",
    "group",
    "local_area_network_type",
    "memory_type",
    "network_guid",
    "region",
    "storage_interface",
    "storage_redundancy",
];

/// Keys that a number of the computer must reach.
const SIZES: [&str; 4] = [
    "cpu_core",
    "cpu_frequency",
    "memory_size",
    "storage_capacity",
];

/// What conditions are held against: a computer as its operator and its inventory describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Given by whoever made its token: `region = "fr"`.
    pub labels: BTreeMap<String, String>,
    pub cpus: u64,
    pub memory_bytes: u64,
}

/// Conditions that are understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions<'a> {
    sla: &'a BTreeMap<String, String>,
    unique_by_network: bool,
}

/// A condition that no computer can meet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    #[error("no node matches `{0}`: this master does not know that key")]
    UnknownKey(String),
    #[error("no node matches `mode={0}`: the one mode is `unique_by_network`")]
    UnknownMode(String),
    #[error("no node matches `{key}={value}`: it must be a number")]
    NoNumber { key: String, value: String },
    #[error("no node matches `project_guid={wanted}`: the instance is in the project `{project}`")]
    OtherProject {
        wanted: String,
        project: ProjectName,
    },
    #[error("`instance_guid` says which instance to share: it is for shared instances alone")]
    OnlyShared,
}

impl<'a> Conditions<'a> {
    /// Understands the conditions of a request, or says which one nobody can meet.
    pub fn understand(
        sla: &'a BTreeMap<String, String>,
        project: &ProjectName,
        shared: bool,
    ) -> Result<Self, ConditionError> {
        for (key, value) in sla {
            match key.as_str() {
                "computer_guid" => {}
                "project_guid" if value == project.as_str() => {}
                "project_guid" => {
                    return Err(ConditionError::OtherProject {
                        wanted: value.clone(),
                        project: project.clone(),
                    });
                }
                "instance_guid" if shared => {}
                "instance_guid" => return Err(ConditionError::OnlyShared),
                "mode" if value == "unique_by_network" => {}
                "mode" => return Err(ConditionError::UnknownMode(value.clone())),
                key if PASSED_ON.contains(&key) || LABELS.contains(&key) => {}
                key if SIZES.contains(&key) => {
                    number(value).ok_or_else(|| ConditionError::NoNumber {
                        key: key.to_owned(),
                        value: value.clone(),
                    })?;
                }
                key => return Err(ConditionError::UnknownKey(key.to_owned())),
            }
        }
        Ok(Self {
            sla,
            unique_by_network: minds_networks(sla),
        })
    }

    /// Returns the computer that is asked for, if one is.
    pub fn computer(&self) -> Option<&str> {
        self.sla.get("computer_guid").map(String::as_str)
    }

    /// Returns the instance to share that is asked for, if one is.
    pub fn instance(&self) -> Option<&str> {
        self.sla.get("instance_guid").map(String::as_str)
    }

    /// Returns the first condition that a computer does not meet. `taken` are the networks that the instance's tree is on.
    pub fn unmet(
        &self,
        computer: &ComputerId,
        traits: &Traits,
        taken: &BTreeSet<String>,
    ) -> Option<String> {
        if self.unique_by_network && taken.contains(&network(computer, traits)) {
            return Some("mode=unique_by_network".to_owned());
        }
        self.sla
            .iter()
            .find(|(key, value)| !traits.meet(computer, key, value))
            .map(|(key, value)| format!("{key}={value}"))
    }
}

impl Traits {
    fn meet(&self, computer: &ComputerId, key: &str, wanted: &str) -> bool {
        if key == "computer_guid" {
            return computer.as_str() == wanted;
        }
        if LABELS.contains(&key) {
            return self.labels.get(key).is_some_and(|value| value == wanted);
        }
        if SIZES.contains(&key) {
            let wanted = number(wanted).unwrap_or(f64::INFINITY);
            return self.size(key).is_some_and(|size| size >= wanted);
        }
        true
    }

    /// Returns a size: what the operator says, or what the machine says of itself. Memory is in bytes.
    fn size(&self, key: &str) -> Option<f64> {
        if let Some(label) = self.labels.get(key) {
            return number(label);
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "nobody asks for memory to the byte"
        )]
        match key {
            "cpu_core" => Some(self.cpus as f64),
            "memory_size" => Some(self.memory_bytes as f64),
            _ => None,
        }
    }
}

/// Says whether it matters on which networks the rest of the tree is.
pub fn minds_networks(sla: &BTreeMap<String, String>) -> bool {
    sla.contains_key("mode")
}

/// Returns the network a computer is on: one of its own when nobody said.
pub fn network(computer: &ComputerId, traits: &Traits) -> String {
    traits
        .labels
        .get("network_guid")
        .cloned()
        .unwrap_or_else(|| computer.to_string())
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|it: &f64| it.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn unmet(sla: &[(&str, &str)], taken: &[&str]) -> Option<String> {
        let traits = Traits {
            labels: map(&[
                ("region", "fr"),
                ("network_guid", "lan-1"),
                ("cpu_frequency", "2.4"),
            ]),
            cpus: 4,
            memory_bytes: 8_000_000_000,
        };
        let sla = map(sla);
        let taken = taken.iter().map(|it| (*it).to_owned()).collect();
        Conditions::understand(&sla, &ProjectName::default(), false)
            .unwrap()
            .unmet(&ComputerId::numbered(1), &traits, &taken)
    }

    #[test]
    fn every_condition_must_be_met() {
        assert_eq!(unmet(&[], &[]), None);
        assert_eq!(unmet(&[("region", "fr"), ("cpu_core", "4")], &[]), None);
        assert_eq!(
            unmet(&[("memory_size", "8e9"), ("cpu_frequency", "2")], &[]),
            None
        );
        assert_eq!(unmet(&[("retention_delay", "7.0")], &[]), None);
        for (key, value) in [
            ("computer_guid", "COMP-2"),
            ("region", "de"),
            ("group", "any"),
            ("cpu_core", "5"),
            ("memory_size", "8000000001"),
            ("storage_capacity", "1"),
        ] {
            assert_eq!(
                unmet(&[("region", "fr"), (key, value)][1..], &[]),
                Some(format!("{key}={value}"))
            );
        }
    }

    #[test]
    fn a_tree_is_on_a_network_once_if_it_says_so() {
        let mode = [("mode", "unique_by_network")];
        assert_eq!(unmet(&mode, &["lan-2"]), None);
        assert_eq!(
            unmet(&mode, &["lan-1"]),
            Some("mode=unique_by_network".to_owned())
        );
        assert_eq!(unmet(&[], &["lan-1"]), None);
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let refused = |key: &str, value: &str| {
            Conditions::understand(&map(&[(key, value)]), &ProjectName::default(), false)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            refused("planet", "moon"),
            "no node matches `planet`: this master does not know that key"
        );
        assert!(refused("mode", "twice").contains("`unique_by_network`"));
        assert!(refused("cpu_core", "many").contains("must be a number"));
        assert!(refused("instance_guid", "SOFTINST-1").contains("shared instances alone"));
        assert!(refused("project_guid", "other").contains("is in the project `default`"));
        let share = map(&[("instance_guid", "SOFTINST-1")]);
        assert!(Conditions::understand(&share, &ProjectName::default(), true).is_ok());
    }
}
