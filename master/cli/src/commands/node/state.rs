//! How the agent of this machine says that it is: `/run/slapbox/status.json`.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// Where the agent writes it.
pub(super) const FILE: &str = "/run/slapbox/status.json";

/// What the agent says. What an older or newer one does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct NodeState {
    pub(crate) version: String,
    pub(crate) name: String,
    pub(crate) role: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) masters: Vec<String>,
    pub(crate) enrolment: Enrolment,
    pub(crate) notices: Vec<String>,
    pub(crate) overlay: Overlay,
    pub(crate) partitions: Partitions,
    pub(crate) software: BTreeMap<String, String>,
    pub(crate) instances: Instances,
    pub(crate) failures: Vec<Failure>,
    pub(crate) last_contact: Option<i64>,
    pub(crate) master_away: Option<String>,
}

/// How far the node is on its way to its master.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Enrolment {
    /// `unconfigured`, `enrolling`, `pending`, `refused`, `enrolled`, `revoked` …
    pub(crate) state: String,
    pub(crate) reference: Option<String>,
    pub(crate) reason: Option<String>,
}

/// Its end of the overlay.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Overlay {
    /// `connected`, `connecting`, or `none` where its master has no overlay.
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) prefix: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) links: usize,
}

/// Its partitions.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Partitions {
    pub(crate) wanted: u16,
    pub(crate) ready: u16,
    pub(crate) used: usize,
}

/// Its instances by state.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Instances {
    pub(crate) started: usize,
    pub(crate) stopped: usize,
    pub(crate) pending: usize,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Failure {
    pub(crate) subject: Option<String>,
    pub(crate) message: String,
}

impl NodeState {
    /// Reads what the agent wrote.
    pub(super) fn parse(json: &str) -> Result<Self> {
        serde_json::from_str(json).with_context(|| format!("`{FILE}` is not what an agent writes"))
    }

    /// Whether it belongs to its master.
    pub(crate) fn is_enrolled(&self) -> bool {
        self.enrolment.state == "enrolled"
    }

    /// Whether its partitions can be reached as they shall be.
    pub(crate) fn is_connected(&self) -> bool {
        matches!(self.overlay.state.as_str(), "connected" | "none")
    }

    /// Whether all its partitions are made.
    pub(crate) fn is_laid_out(&self) -> bool {
        self.partitions.wanted > 0 && self.partitions.ready >= self.partitions.wanted
    }

    /// What is not as it should be, in a few words; nothing of a node that is well.
    pub(crate) fn complaint(&self) -> Option<String> {
        let mut wrong = Vec::new();
        if !self.is_enrolled() {
            wrong.push("it is not enrolled".to_owned());
        } else if !self.is_connected() {
            wrong.push("it is not in the overlay".to_owned());
        } else if !self.is_laid_out() {
            wrong.push("not all partitions are made".to_owned());
        }
        if self.master_away.is_some() {
            wrong.push("its master does not answer".to_owned());
        }
        match self.failures.len() {
            0 => {}
            1 => wrong.push("one thing has failed".to_owned()),
            count => wrong.push(format!("{count} things have failed")),
        }
        (!wrong.is_empty()).then(|| format!("this node is not well: {}", wrong.join(", ")))
    }
}

/// The text that the agent wrote last; nothing if it has written none since the machine was switched on.
pub(super) fn json() -> Result<Option<String>> {
    match std::fs::read_to_string(FILE) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{FILE}`")),
    }
}

/// The state that the agent said last.
pub(super) fn read() -> Result<Option<NodeState>> {
    json()?.map(|text| NodeState::parse(&text)).transpose()
}

#[cfg(test)]
pub(crate) const SERVING: &str = r#"{
  "version": "0.1.0-42", "name": "edge-1", "role": "node", "code": "K7QD-M2XA", "addresses": ["192.0.2.7"],
  "masters": ["https://192.0.2.1"], "enrolment": {"state": "enrolled", "reference": "COMP-2"}, "notices": [],
  "overlay": {"state": "connected", "reason": "", "prefix": "fd12:3456:789a:1::/64", "address": "fd12:3456:789a:1::1",
    "links": 1},
  "partitions": {"wanted": 200, "ready": 200, "used": 1, "seconds": 4.2},
  "software": {"https://192.0.2.1/v1/releases/demo": "available"},
  "instances": {"started": 1, "stopped": 0, "pending": 0}, "failures": [], "last_contact": 1795000000,
  "master_away": null
}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_serves_is_well() {
        let state = NodeState::parse(SERVING).unwrap();
        assert_eq!(state.complaint(), None);
        assert_eq!(state.enrolment.reference.as_deref(), Some("COMP-2"));
        let unconnected = NodeState {
            overlay: Overlay {
                state: "none".to_owned(),
                ..Overlay::default()
            },
            ..state
        };
        assert_eq!(
            unconnected.complaint(),
            None,
            "not every master has an overlay"
        );
    }

    #[test]
    fn all_that_is_wrong_is_named() {
        let state = NodeState::parse(
            r#"{"enrolment": {"state": "enrolled"}, "overlay": {"state": "connecting"},
                "master_away": "timeout", "failures": [{"subject": "slappart0", "message": "x"}]}"#,
        );
        assert_eq!(
            state.unwrap().complaint().unwrap(),
            "this node is not well: it is not in the overlay, its master does not answer, one thing has failed"
        );
        let new = NodeState::parse(r#"{"enrolment": {"state": "starting"}}"#).unwrap();
        assert_eq!(
            new.complaint().unwrap(),
            "this node is not well: it is not enrolled"
        );
    }
}
