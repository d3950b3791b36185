//! How a node is: `POST /v1/report`.

use serde::{Deserialize, Serialize};

use super::DayUsage;

/// What a node says of itself after each pass, and once in a while.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeReport {
    /// The version of its software.
    pub version: String,
    /// The kernel's boot id: another one means that it was started again.
    pub boot_id: String,
    /// How long it runs.
    pub uptime_seconds: u64,
    /// Size of its memory.
    pub memory_total_bytes: u64,
    /// What of it is left.
    pub memory_available_bytes: u64,
    /// What the agent itself takes.
    pub agent_rss_bytes: u64,
    /// How far its partitions are.
    pub partitions: PartitionsReport,
    /// How its overlay is.
    pub overlay: OverlayReport,
    /// What is not as it should be.
    pub failures: Vec<Failure>,
    /// What its partitions used on the last whole day. Said once; left out, it is as it was said before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<DayUsage>,
}

/// Partitions that a node shall have and has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PartitionsReport {
    /// As many as configured.
    pub wanted: u32,
    /// As many as are made.
    pub ready: u32,
    /// How long the last making took.
    pub seconds_to_make: f64,
}

/// The overlay as a node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OverlayReport {
    /// The node's prefix, or empty.
    pub prefix: String,
    /// The node's own address, or empty.
    pub address: String,
    /// `connected`, or `connecting`.
    pub state: String,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The partition it is about, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// What it is, in words.
    pub message: String,
}
