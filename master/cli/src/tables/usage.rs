//! What partitions used, as a table.

use slap::v1::{DayUsage, PartitionUsage};

use super::layout::{bytes, table};

/// Returns what each partition used.
pub(super) fn usage(usage: &DayUsage) -> String {
    let heads = [
        "PARTITION",
        "CPU",
        "MEMORY",
        "PEAK",
        "DISK",
        "READ",
        "WRITTEN",
        "RECEIVED",
        "SENT",
    ];
    table(heads, usage.partitions.iter().map(row).collect())
}

fn row(of: &PartitionUsage) -> [String; 9] {
    let size = |size: Option<u64>| size.map_or_else(|| "-".to_owned(), bytes);
    [
        of.partition.to_string(),
        format!("{:.1} s", of.cpu_seconds),
        size(of.memory_average_bytes),
        size(of.memory_peak_bytes),
        size(of.disk_bytes),
        size(of.io_read_bytes),
        size(of.io_written_bytes),
        size(of.network_received_bytes),
        size(of.network_sent_bytes),
    ]
}
