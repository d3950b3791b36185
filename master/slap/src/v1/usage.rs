//! What the partitions of a node used, a day at a time.

use serde::{Deserialize, Serialize};

use crate::id::PartitionId;

/// What the partitions of a node used on one day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DayUsage {
    /// The day, by the clock of UTC: `2026-11-27`.
    pub date: String,
    /// Those that used something.
    pub partitions: Vec<PartitionUsage>,
}

/// What one partition used on one day. What the node's kernel does not count is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionUsage {
    /// Which partition.
    pub partition: PartitionId,
    /// How much of the day it was looked at.
    #[serde(default)]
    pub observed_seconds: u64,
    /// Time of processors.
    #[serde(default)]
    pub cpu_seconds: f64,
    /// Memory, on average of the time that it was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_average_bytes: Option<u64>,
    /// The most memory at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<u64>,
    /// What its files take, when they were last measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
    /// Read from disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_read_bytes: Option<u64>,
    /// Written to disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_written_bytes: Option<u64>,
    /// Received from the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_received_bytes: Option<u64>,
    /// Sent to the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_sent_bytes: Option<u64>,
    /// The most processes and threads at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks_peak: Option<u64>,
}
