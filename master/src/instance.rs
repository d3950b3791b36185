//! The nouns of what runs where, as this master thinks of them: instances and their places. Types only.

use std::collections::BTreeMap;
use std::fmt;

use slap::state::InstanceReport;
use slap::{InstanceGuid, PartitionId, RequestedState};

use crate::clock::Moment;
use crate::identity::{ComputerId, ProjectName, UserName};

/// A reference such as `HOSTSUBS-2`: of the tree whose root was requested as `SOFTINST-2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TreeId(pub String);

impl fmt::Display for TreeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One address of a partition.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Address {
    pub interface: String,
    pub address: String,
    /// Of an address for what is behind the partition's tap, such as a virtual machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
}

/// How an address is reached.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Route {
    pub gateway: String,
    pub netmask: String,
    pub network: String,
}

/// The partition that an instance has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub computer: ComputerId,
    pub partition: PartitionId,
    pub addresses: Vec<Address>,
}

/// What was last said of something: `#access …`, `#error …`, `#building …`; empty when nothing was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub text: String,
    /// When it was last said.
    pub at: Moment,
    /// Since when it was not another.
    pub since: Moment,
}

/// One configured run of a software release, or a share of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    pub reference: InstanceGuid,
    pub tree: TreeId,
    pub tree_title: String,
    /// The project whose nodes its tree may be on.
    pub project: ProjectName,
    /// Who requested its tree; none when an operator did.
    pub owner: Option<UserName>,
    pub parent: Option<InstanceGuid>,
    /// Whose partition it shares, when it is a shared instance that has one.
    pub host: Option<InstanceGuid>,
    pub title: String,
    pub software_url: String,
    pub software_type: String,
    pub parameters: BTreeMap<String, String>,
    pub sla: BTreeMap<String, String>,
    pub shared: bool,
    pub requested: RequestedState,
    pub reported: Option<InstanceReport>,
    pub status: Status,
    pub connection: BTreeMap<String, String>,
    /// Why it has no partition.
    pub waiting: String,
    /// Moves whenever the node has to process the instance again.
    pub timestamp: Moment,
    pub place: Option<Place>,
}

impl Instance {
    /// Says whether a person requested it, and not another instance.
    pub fn is_root(&self) -> bool {
        self.title == self.tree_title
    }
}
