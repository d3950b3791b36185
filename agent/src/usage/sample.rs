//! Reads what the kernel counts: for each slice of a partition a handful of small files, of which any may be missing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use camino::Utf8Path;

use super::kernel;
use super::reading::{Counter, Reading, Record, Subject};
use crate::desired::PartitionName;
use crate::places::Places;

const CGROUPS: &str = "sys/fs/cgroup";

/// What is known besides what the kernel says.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    /// What systemd counted: bytes received and sent.
    pub(super) traffic: BTreeMap<PartitionName, (u64, u64)>,
    /// What files take.
    pub(super) disk: BTreeMap<PartitionName, u64>,
}

/// Returns the partitions that have a slice.
pub(super) fn slices(places: &Places) -> Vec<PartitionName> {
    let Ok(listed) = fs::read_dir(places.at(CGROUPS)) else {
        return Vec::new();
    };
    let names = listed.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut partitions: Vec<PartitionName> = names
        .filter_map(|name| name.strip_suffix(".slice")?.parse().ok())
        .collect();
    partitions.sort_unstable();
    partitions
}

/// Reads the machine and these slices. One that is gone meanwhile is left out.
pub(super) fn sample(
    places: &Places,
    now: i64,
    slices: &[PartitionName],
    beside: &Beside,
) -> Vec<Record> {
    let boot = boot(places);
    let node = Record {
        time: now,
        subject: Subject::Node,
        counter: Counter { boot, inode: 0 },
        reading: Reading {
            cpu: kernel::busy(&text(&places.at("proc/stat"))),
            memory: kernel::memory_used(&text(&places.at("proc/meminfo"))),
            ..Reading::default()
        },
    };
    let partitions = slices.iter().filter_map(|partition| {
        let folder = places.at(CGROUPS).join(format!("{partition}.slice"));
        let inode = fs::metadata(&folder).ok()?.ino();
        let network = places.at(&format!("sys/class/net/slaptap{}", partition.index()));
        Some(Record {
            time: now,
            subject: Subject::Partition(*partition),
            counter: Counter { boot, inode },
            reading: reading(*partition, &folder, &network, beside),
        })
    });
    std::iter::once(node).chain(partitions).collect()
}

fn reading(partition: PartitionName, slice: &Utf8Path, tap: &Utf8Path, beside: &Beside) -> Reading {
    let of_slice = |file: &str| text(&slice.join(file));
    let number = |file: &str| kernel::number(&of_slice(file));
    let io = of_slice("io.stat");
    // Without its controller there is no such file; with it, it may be empty.
    let io = slice.join("io.stat").exists().then(|| kernel::io(&io));
    let traffic = beside.traffic.get(&partition);
    // What a tap sends is what is behind it receives.
    let of_tap = |file: &str| kernel::number(&text(&tap.join("statistics").join(file)));
    Reading {
        cpu: kernel::named(&of_slice("cpu.stat"), "usage_usec"),
        memory: number("memory.current"),
        memory_peak: number("memory.peak"),
        io_read: io.map(|(read, _)| read),
        io_written: io.map(|(_, written)| written),
        received: traffic.map(|(received, _)| *received),
        sent: traffic.map(|(_, sent)| *sent),
        tap_received: of_tap("tx_bytes"),
        tap_sent: of_tap("rx_bytes"),
        tasks: number("pids.current"),
        disk: beside.disk.get(&partition).copied(),
    }
}

/// Returns how many processors the machine has.
pub(super) fn processors(places: &Places) -> usize {
    kernel::processors(&text(&places.at("proc/stat"))).max(1)
}

/// What tells this boot from others.
fn boot(places: &Places) -> u32 {
    let id = text(&places.at("proc/sys/kernel/random/boot_id"));
    let start = id.split('-').next().unwrap_or_default();
    u32::from_str_radix(start, 16).unwrap_or(0)
}

fn text(path: &Utf8Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;
    use crate::disk;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Places) {
        let keep = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(keep.path().to_owned()).unwrap();
        for (path, content) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            disk::replace(&path, content.as_bytes()).unwrap();
        }
        (keep, Places::under(&root))
    }

    const ALL: [(&str, &str); 12] = [
        (
            "proc/stat",
            "cpu  1 0 1 5 0 0 0 0 0 0\ncpu0 1 0 1 5 0 0 0 0 0 0\n",
        ),
        ("proc/meminfo", "MemTotal: 10 kB\nMemAvailable: 4 kB\n"),
        (
            "proc/sys/kernel/random/boot_id",
            "3f2a9c01-24d0-4e4c-8d4e-02e0ad3e7e9b\n",
        ),
        ("sys/fs/cgroup/init.scope/cpu.stat", "usage_usec 1\n"),
        ("sys/fs/cgroup/slappart10.slice/cpu.stat", "usage_usec 10\n"),
        ("sys/fs/cgroup/slappart9.slice/cpu.stat", "usage_usec 9\n"),
        ("sys/fs/cgroup/slappart9.slice/memory.current", "4096\n"),
        ("sys/fs/cgroup/slappart9.slice/memory.peak", "8192\n"),
        ("sys/fs/cgroup/slappart9.slice/io.stat", ""),
        ("sys/fs/cgroup/slappart9.slice/pids.current", "2\n"),
        ("sys/class/net/slaptap9/statistics/rx_bytes", "11\n"),
        ("sys/class/net/slaptap9/statistics/tx_bytes", "22\n"),
    ];

    #[test]
    fn everything_that_is_counted_is_read_and_what_is_not_is_passed_over() {
        let (_keep, places) = machine(&ALL);
        let nine = PartitionName::new(9);
        let beside = Beside {
            traffic: [(nine, (100, 200))].into(),
            disk: [(nine, 12_288)].into(),
        };
        assert_eq!(slices(&places), [nine, PartitionName::new(10)]);
        let found = sample(&places, 7, &slices(&places), &beside);
        let lines: Vec<_> = found
            .iter()
            .map(|record| {
                let inode = record.counter.inode.to_string();
                let line = record.to_string();
                if inode == "0" {
                    line
                } else {
                    line.replace(&inode, "I")
                }
            })
            .collect();
        assert_eq!(
            lines,
            [
                "7,node,3f2a9c01-0,20000,6144,,,,,,,,,",
                "7,slappart9,3f2a9c01-I,9,4096,8192,0,0,100,200,22,11,2,12288",
                "7,slappart10,3f2a9c01-I,10,,,,,,,,,,",
            ]
        );
        assert_eq!(processors(&places), 1);
    }

    #[test]
    fn a_slice_that_is_gone_and_a_machine_that_says_nothing_are_no_failure() {
        let (_keep, places) = machine(&[]);
        assert_eq!(slices(&places), []);
        let found = sample(&places, 7, &[PartitionName::new(0)], &Beside::default());
        let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["7,node,00000000-0,,,,,,,,,,,"]);
    }
}
