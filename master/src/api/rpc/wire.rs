//! What JSON-RPC v0 sends and receives. Field names are the protocol's.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use slap::{ComputerId, InstanceGuid, PartitionId, RequestedState, SupplyState, Title};
use utoipa::ToSchema;

/// Something was refused or failed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Refusal {
    /// The HTTP status again
    pub(super) status: u16,
    /// What the status is called
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// What was wrong
    pub(super) title: String,
}

/// Something was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Success {
    /// `success`
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// What was done
    pub(super) title: String,
}

/// Nothing has to be said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// What an instance shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InstanceRequest {
    /// What the requester calls it: asked again, it is the same instance
    #[schema(value_type = String, min_length = 1, max_length = 255)]
    pub(super) title: Title,
    /// The release it is an instance of
    pub(super) software_release_uri: String,
    /// Which of the release's types
    pub(super) software_type: String,
    /// What it is configured with; what is no text becomes one
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(super) parameters: Map<String, Value>,
    /// Started, when nothing is said
    #[schema(value_type = Option<State>)]
    pub(super) state: Option<RequestedState>,
    /// Whether it shares an instance that is there
    #[serde(default)]
    pub(super) shared: bool,
    /// Conditions on where it may be
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(super) sla_parameters: Map<String, Value>,
}

/// What an instance can be.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "it is `RequestedState` in the description")]
pub(super) enum State {
    Started,
    Stopped,
    Destroyed,
}

/// What a release on a computer can be.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "it is `SupplyState` in the description")]
pub(super) enum Supplied {
    Available,
    Destroyed,
}

/// An instance as it is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Instance {
    /// What its requester calls it
    pub(super) title: String,
    /// `SOFTINST-9`
    pub(super) instance_guid: String,
    /// The release it is an instance of
    pub(super) software_release_uri: String,
    /// Which of the release's types
    pub(super) software_type: String,
    /// What it shall be
    #[schema(value_type = State)]
    pub(super) state: RequestedState,
    /// What it published
    pub(super) connection_parameters: BTreeMap<String, String>,
    /// What it is configured with
    pub(super) parameters: BTreeMap<String, String>,
    /// Whether it shares another's partition
    pub(super) shared: bool,
    /// What the root of its tree is called
    pub(super) root_instance_title: String,
    /// Interface and address, of each of its partition's addresses
    pub(super) ip_list: Vec<(String, String)>,
    /// Addresses with a gateway: interface, address, gateway, netmask, network
    pub(super) full_ip_list: Vec<(String, String, String, String, String)>,
    /// Conditions on where it may be
    pub(super) sla_parameters: BTreeMap<String, String>,
    /// Where it is
    pub(super) computer_guid: String,
    /// Where there
    pub(super) compute_partition_id: String,
    /// Microseconds since 1970: moves whenever its node has to process it again
    pub(super) processing_timestamp: i64,
    /// What was last heard of it: `#access …`, `#error …`, or nothing
    pub(super) access_status_message: String,
}

/// An instance that waits for a partition.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NotReady {
    /// Why it waits
    pub(super) message: String,
    /// `SoftwareInstanceNotReady`
    pub(super) name: String,
    /// 102
    pub(super) status: u16,
}

/// An instance, or why it is none yet.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum MaybeInstance {
    Ready(Box<Instance>),
    NotReady(NotReady),
}

/// An instance is meant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ByInstance {
    /// `SOFTINST-9`
    #[schema(value_type = String)]
    pub(super) instance_guid: InstanceGuid,
}

/// A partition is meant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ByPartition {
    /// `COMP-2`
    #[schema(value_type = String)]
    pub(super) computer_guid: ComputerId,
    /// `slappart0`
    #[schema(value_type = String)]
    pub(super) compute_partition_id: PartitionId,
}

/// A computer is meant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ByComputer {
    /// `COMP-2`
    #[schema(value_type = String)]
    pub(super) computer_guid: ComputerId,
}

/// A tree is meant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ByTitle {
    /// What its root is called
    pub(super) title: String,
}

/// Rows.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Results<T> {
    pub(super) result_list: Vec<T>,
}

/// A tree in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TreeRow {
    pub(super) title: String,
}

/// An instance on a computer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InstanceRow {
    pub(super) title: String,
    pub(super) instance_guid: String,
    #[schema(value_type = State)]
    pub(super) state: RequestedState,
    pub(super) compute_partition_id: String,
    pub(super) software_release_uri: String,
}

/// Who shares an instance.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ShareRow {
    pub(super) title: String,
    pub(super) instance_guid: String,
    pub(super) software_type: String,
    #[schema(value_type = State)]
    pub(super) state: RequestedState,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) compute_partition_id: String,
}

/// A release on a computer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InstallationRow {
    pub(super) software_release_uri: String,
    #[schema(value_type = Supplied)]
    pub(super) state: SupplyState,
}

/// A computer in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NodeRow {
    pub(super) computer_guid: String,
}

/// What a node says an instance is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InstanceReported {
    #[schema(value_type = String)]
    pub(super) instance_guid: InstanceGuid,
    #[schema(value_type = State)]
    pub(super) reported_state: RequestedState,
}

/// Something to say of an instance.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InstanceMessage {
    #[schema(value_type = String)]
    pub(super) instance_guid: InstanceGuid,
    /// In words
    pub(super) message: String,
}

/// Another title for an instance.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InstanceTitle {
    #[schema(value_type = String)]
    pub(super) instance_guid: InstanceGuid,
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    pub(super) title: Title,
}

/// What an instance publishes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InstanceConnection {
    #[schema(value_type = String)]
    pub(super) instance_guid: InstanceGuid,
    /// What is no text becomes one
    #[schema(value_type = Object)]
    pub(super) connection_parameter_dict: Map<String, Value>,
}

/// A certificate and its key, in PEM.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Certificate {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// A release shall be on a computer, or leave it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InstallationRequest {
    #[schema(value_type = String)]
    pub(super) computer_guid: ComputerId,
    pub(super) software_release_uri: String,
    /// Available, when nothing is said
    #[schema(value_type = Option<Supplied>)]
    pub(super) state: Option<SupplyState>,
}

/// What a node says a release is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InstallationReported {
    #[schema(value_type = String)]
    pub(super) computer_guid: ComputerId,
    pub(super) software_release_uri: String,
    pub(super) reported_state: Reported,
}

/// What a node can say of a release.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Reported {
    Building,
    Available,
    Destroyed,
}

/// What went wrong with a release.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InstallationMessage {
    #[schema(value_type = String)]
    pub(super) computer_guid: ComputerId,
    pub(super) software_release_uri: String,
    /// In words
    pub(super) message: String,
}

/// What a computer announces of its partitions. One that is not listed is gone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Format {
    #[schema(value_type = String)]
    pub(super) computer_guid: ComputerId,
    pub(super) compute_partition_list: Vec<FormatPartition>,
}

/// A partition as it is announced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FormatPartition {
    #[schema(value_type = String)]
    pub(super) partition_id: PartitionId,
    #[serde(default)]
    pub(super) ip_list: Vec<FormatAddress>,
    /// What only requests for it get
    #[serde(default)]
    pub(super) capability_list: BTreeSet<String>,
}

/// An address as it is announced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FormatAddress {
    #[serde(rename = "ip-address")]
    #[schema(value_type = String)]
    pub(super) address: std::net::IpAddr,
    /// What the address is called by; the partition's name when nothing is said
    #[serde(rename = "network-interface", default)]
    pub(super) interface: Option<String>,
    #[serde(default)]
    pub(super) netmask: Option<String>,
    /// With a gateway and a netmask the address is for what is behind the partition's tap
    #[serde(rename = "gateway-ip-address", default)]
    pub(super) gateway: Option<String>,
    #[serde(rename = "network-address", default)]
    pub(super) network: Option<String>,
}

/// Something to say of a computer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ComputerMessage {
    #[schema(value_type = String)]
    pub(super) computer_guid: ComputerId,
    /// In words
    pub(super) message: String,
}

/// What a computer and its partitions used.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Usage {
    #[schema(value_type = String)]
    pub(super) computer_guid: ComputerId,
    /// A journal in XML
    pub(super) tioxml: String,
}

/// What was last heard of a computer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NodeStatus {
    /// `#access …` or `#error …`
    pub(super) text: String,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub(super) more: Map<String, Value>,
}

/// Where documents for tools are.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HateoasUrl {
    pub(super) hateoas_url: String,
}

/// Returns values as texts: those that are none as SLAP's clients write them, what has parts as JSON.
pub(super) fn texts(values: Map<String, Value>) -> BTreeMap<String, String> {
    let text = |value: Value| match value {
        Value::String(text) => text,
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        other @ (Value::Number(_) | Value::Array(_) | Value::Object(_)) => other.to_string(),
    };
    values
        .into_iter()
        .map(|(key, value)| (key, text(value)))
        .collect()
}
