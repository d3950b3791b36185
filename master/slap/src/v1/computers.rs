//! Computers as operators see them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DayUsage, Inventory, NodeReport};
use crate::id::{ComputerId, ProjectName};
use crate::state::{SoftwareReport, SupplyState};

/// Where a computer stands with the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComputerState {
    /// It showed a good token and waits for an operator.
    Pending,
    /// It may fetch its certificate.
    Approved,
    /// It has its certificate.
    Enrolled,
    /// It is shut out for good.
    Revoked,
}

/// A computer; the answer to `GET /v1/computers/REF` and an entry of the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Computer {
    /// Its reference.
    pub reference: ComputerId,
    /// Where it stands.
    pub state: ComputerState,
    /// The comparison code of its key.
    pub code: String,
    /// What it said of itself when it enrolled.
    #[serde(default)]
    pub inventory: Inventory,
    /// From the token that it redeemed.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The project whose services it runs.
    #[serde(default)]
    pub project: ProjectName,
    /// Whether the project's other computers may take what it builds.
    #[serde(default)]
    pub trusted: bool,
    /// When it last called, in seconds since 1970.
    #[serde(default)]
    pub last_contact: Option<i64>,
    /// What it last reported, its usage apart.
    #[serde(default)]
    pub report: Option<NodeReport>,
    /// What its partitions used on the last whole day.
    #[serde(default)]
    pub usage: Option<DayUsage>,
    /// How many partitions it announced.
    #[serde(default)]
    pub partitions: u32,
    /// How many of them have an instance.
    #[serde(default)]
    pub partitions_used: u32,
    /// What is supplied to it.
    #[serde(default)]
    pub software: Vec<Software>,
    /// What an operator should look at: a clone, most likely.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A release that shall be on a computer, or shall leave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Software {
    /// The release.
    pub url: String,
    /// What it shall be.
    pub requested_state: SupplyState,
    /// What the node last said of it.
    #[serde(default)]
    pub reported_state: Option<SoftwareReport>,
    /// The node's words, when it could not.
    #[serde(default)]
    pub status: String,
}

/// `GET /v1/computers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Computers {
    /// In the order in which they came.
    pub computers: Vec<Computer>,
}
