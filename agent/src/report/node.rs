//! What a node says of itself to its master each minute.

use std::fs;

use camino::Utf8Path;
use slap::v1::{DayUsage, Failure, NodeReport, OverlayReport, PartitionsReport};

use crate::places::Places;
use crate::status::Status;

/// What the kernel says of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    boot_id: String,
    uptime_seconds: u64,
    memory_total_bytes: u64,
    memory_available_bytes: u64,
    agent_rss_bytes: u64,
}

impl Facts {
    /// Reads them. What cannot be read is empty.
    pub fn read(places: &Places) -> Self {
        let meminfo = text(&places.at("proc/meminfo"));
        let uptime = text(&places.at("proc/uptime"));
        let seconds = uptime
            .split(['.', ' '])
            .next()
            .and_then(|number| number.parse().ok());
        Self {
            boot_id: text(&places.at("proc/sys/kernel/random/boot_id"))
                .trim()
                .to_owned(),
            uptime_seconds: seconds.unwrap_or(0),
            memory_total_bytes: kib(&meminfo, "MemTotal:"),
            memory_available_bytes: kib(&meminfo, "MemAvailable:"),
            agent_rss_bytes: kib(&text(&places.at("proc/self/status")), "VmRSS:"),
        }
    }
}

/// The report for the master.
///
/// With `usage` it says what its partitions used on the last day, which the master keeps until it hears of another.
pub fn node_report(status: &Status, facts: &Facts, usage: Option<DayUsage>) -> NodeReport {
    let partitions = &status.partitions;
    let prefix = status.overlay.prefix;
    NodeReport {
        version: status.version.clone(),
        boot_id: facts.boot_id.clone(),
        uptime_seconds: facts.uptime_seconds,
        memory_total_bytes: facts.memory_total_bytes,
        memory_available_bytes: facts.memory_available_bytes,
        agent_rss_bytes: facts.agent_rss_bytes,
        partitions: PartitionsReport {
            wanted: partitions.wanted.into(),
            ready: partitions.ready.into(),
            seconds_to_make: partitions.seconds,
        },
        overlay: OverlayReport {
            prefix: prefix.map(|prefix| prefix.to_string()).unwrap_or_default(),
            address: status
                .overlay
                .address
                .map(|address| address.to_string())
                .unwrap_or_default(),
            state: status.overlay.state.clone(),
        },
        failures: status
            .all_failures()
            .map(|failure| Failure {
                partition: failure.subject.clone(),
                message: failure.message.clone(),
            })
            .collect(),
        usage,
    }
}

fn kib(text: &str, field: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    let number = value.and_then(|value| value.split_ascii_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

fn text(path: &Utf8Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_the_kernel_is_told_in_bytes() {
        let status = "Name:\tslapbox-agent\nVmRSS:\t   11264 kB\n";
        assert_eq!(kib(status, "VmRSS:"), 11_264 * 1024);
        assert_eq!(kib(status, "VmSwap:"), 0);
    }

    #[test]
    fn a_running_program_knows_its_memory() {
        let facts = Facts::read(&Places::of_box(None));
        assert!(facts.agent_rss_bytes > 1024 * 1024, "{facts:?}");
        assert!(
            facts.memory_total_bytes > facts.memory_available_bytes,
            "{facts:?}"
        );
        assert_eq!(facts.boot_id.len(), 36);
    }
}
