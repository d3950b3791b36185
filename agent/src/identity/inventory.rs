//! What the machine is, for the operator who approves it. Nothing of it proves anything.

use std::fs;

use camino::Utf8Path;
use slap::v1::Inventory;

use crate::places::Places;

/// Collects the inventory. What cannot be read is empty.
pub fn inventory(places: &Places, name: &str, version: &str) -> Inventory {
    Inventory {
        name: name.to_owned(),
        machine_id: line(&places.at("etc/machine-id")),
        smbios_uuid: line(&places.at("sys/class/dmi/id/product_uuid")),
        serial: serial(&line(&places.at("sys/class/dmi/id/product_serial"))),
        macs: macs(&places.at("sys/class/net")),
        memory_bytes: memory(places),
        cpus: std::thread::available_parallelism()
            .map_or(0, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        version: version.to_owned(),
    }
}

/// Returns how many bytes of memory the machine has; 0 if it does not say.
pub fn memory(places: &Places) -> u64 {
    memory_bytes(&line_of(&places.at("proc/meminfo"), "MemTotal:"))
}

/// Firmware that has no serial number says so in many ways.
fn serial(text: &str) -> String {
    const JUNK: [&str; 5] = [
        "0",
        "none",
        "not specified",
        "default string",
        "to be filled by o.e.m.",
    ];
    if JUNK.contains(&text.to_ascii_lowercase().as_str()) {
        String::new()
    } else {
        text.to_owned()
    }
}

/// Addresses of the interfaces that are hardware.
fn macs(folder: &Utf8Path) -> Vec<String> {
    let Ok(entries) = folder.read_dir_utf8() else {
        return Vec::new();
    };
    let mut macs: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().join("device").exists())
        .map(|entry| line(&entry.path().join("address")))
        .filter(|mac| !mac.is_empty())
        .collect();
    macs.sort();
    macs.dedup();
    macs
}

/// `MemTotal:       24684096 kB` in bytes.
fn memory_bytes(line: &str) -> u64 {
    let kib = line
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|number| number.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

fn line(path: &Utf8Path) -> String {
    fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

fn line_of(path: &Utf8Path, start: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .find(|line| line.starts_with(start))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_that_says_nothing_is_none() {
        assert_eq!(serial("To be filled by O.E.M."), "");
        assert_eq!(serial("PF3ABCDE"), "PF3ABCDE");
    }

    #[test]
    fn memory_is_told_in_bytes() {
        assert_eq!(
            memory_bytes("MemTotal:       24684096 kB"),
            24_684_096 * 1024
        );
        assert_eq!(memory_bytes(""), 0);
    }
}
