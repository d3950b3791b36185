//! Services (root instances) as operators see them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::id::{ComputerId, InstanceGuid, PartitionId, ProjectName, Title, UserName};
use crate::state::{InstanceReport, RequestedState};

/// A service; the answer to `GET /v1/services/TITLE` and an entry of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// What its requester calls it.
    pub title: Title,
    /// The instance's id.
    pub reference: InstanceGuid,
    /// The project whose nodes it may be on.
    #[serde(default)]
    pub project: ProjectName,
    /// Who requested it; nothing: an operator.
    #[serde(default)]
    pub owner: Option<UserName>,
    /// The release it is an instance of.
    pub software_url: String,
    /// Which of the release's types.
    pub software_type: String,
    /// What it shall be.
    pub requested_state: RequestedState,
    /// What its node last said of it.
    #[serde(default)]
    pub reported_state: Option<InstanceReport>,
    /// The node's words, or why it has no partition yet.
    #[serde(default)]
    pub status: String,
    /// Where it is, once it is allocated.
    #[serde(default)]
    pub computer: Option<ComputerId>,
    /// Where there.
    #[serde(default)]
    pub partition: Option<PartitionId>,
    /// Its addresses.
    #[serde(default)]
    pub ip_list: Vec<IpAddress>,
    /// What it was requested with.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// What it published.
    #[serde(default)]
    pub connection: BTreeMap<String, String>,
}

/// An address of a partition: `["slaptap0", "fd00::2"]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IpAddress(
    /// The interface it is called by.
    pub String,
    /// The address.
    pub IpAddr,
);

/// `GET /v1/services`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Services {
    /// Sorted by title.
    pub services: Vec<Service>,
}
