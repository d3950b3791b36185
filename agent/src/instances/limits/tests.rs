//! What is asked for, what is given, and what is said of what cannot be.

use super::*;

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    let entries = entries.iter();
    entries
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn most() -> Most {
    Most {
        memory: 2 << 30,
        processors: Some(3_000_000),
        tasks: 1000,
        disk: Some(1 << 30),
        disk_has_quotas: true,
    }
}

fn given(entries: &[(&str, &str)]) -> Result<Limits, LimitsError> {
    Limits::understand(&map(entries), &most())
}

fn shown(limits: &Limits) -> String {
    let properties = limits.properties();
    let lines: Vec<_> = properties.iter().map(ToString::to_string).collect();
    lines.join(" ")
}

#[test]
fn what_limits_is_no_configuration() {
    let mut parameters = map(&[("greeting", "hello"), ("SLAPOS_LIMIT_MEMORY", "64M")]);
    let filter = map(&[("cpu_core", "2"), ("region", "fr")]);
    let asked = asked(&mut parameters, &filter);
    assert_eq!(parameters, map(&[("greeting", "hello")]));
    assert_eq!(
        asked,
        map(&[("SLAPOS_LIMIT_MEMORY", "64M"), ("cpu_core", "2")])
    );
}

#[test]
fn who_asks_for_nothing_may_use_the_most() {
    assert_eq!(
        shown(&given(&[]).unwrap()),
        "MemoryMax=2147483648 CPUQuotaPerSecUSec=3000000 TasksMax=1000 CPUWeight=100 IOWeight=100"
    );
    // Of a node of 1,000,000,000 bytes one partition leaves some.
    let limits = Limits::understand(&Asked::new(), &Most::of_node(1_000_000_000)).unwrap();
    assert_eq!(limits.most.memory, 900_000_000);
    assert_eq!(Most::of_node(0), Most::default());
    assert!(shown(&Limits::default()).contains("CPUQuotaPerSecUSec=18446744073709551615"));
}

#[test]
fn parameters_say_less_and_conditions_size() {
    let limits = given(&[
        ("SLAPOS_LIMIT_MEMORY", "512M"),
        ("SLAPOS_LIMIT_CPUS", "0.5"),
        ("SLAPOS_LIMIT_TASKS", "64"),
        ("SLAPOS_LIMIT_DISK", "64M"),
        ("SLAPOS_LIMIT_CPU_WEIGHT", "10"),
        ("SLAPOS_LIMIT_IO_WEIGHT", "20"),
        ("memory_size", "1e9"),
    ]);
    let limits = limits.unwrap();
    assert_eq!(limits.most.disk, Some(64 << 20));
    assert_eq!(
        shown(&limits),
        "MemoryMax=536870912 CPUQuotaPerSecUSec=500000 TasksMax=64 CPUWeight=10 IOWeight=20"
    );
    let limits = given(&[("memory_size", "1e9"), ("cpu_core", "2")]).unwrap();
    assert_eq!(limits.most.memory, 1_000_000_000);
    assert_eq!(limits.most.processors, Some(2_000_000));
    assert_eq!(
        limits.to_string(),
        "953 MiB of memory, 1000 tasks, 2 of its processors, 1024 MiB of disk"
    );
    // The node is as large as was asked for, but one partition gets less; and what another master means is its own affair.
    let limits = given(&[("memory_size", "8e9"), ("cpu_core", "many")]).unwrap();
    assert_eq!(limits, given(&[]).unwrap());
}

/// What is asked for, and what is said of it.
const REFUSED: [(&str, &str, &str); 16] = [
    (
        "SLAPOS_LIMIT_MEMORY",
        "lots",
        "its parameter `SLAPOS_LIMIT_MEMORY` is `lots`, and must be a size of at least 16M, such as 512M or 2G",
    ),
    (
        "SLAPOS_LIMIT_MEMORY",
        "512MB",
        "must be a size of at least 16M",
    ),
    (
        "SLAPOS_LIMIT_MEMORY",
        "15M",
        "must be a size of at least 16M",
    ),
    (
        "SLAPOS_LIMIT_MEMORY",
        "99999999999T",
        "must be a size of at least 16M",
    ),
    (
        "SLAPOS_LIMIT_MEMORY",
        "3G",
        "its parameter `SLAPOS_LIMIT_MEMORY` asks for 3G, and an instance of this node may have 2048 MiB",
    ),
    (
        "SLAPOS_LIMIT_CPUS",
        "0",
        "must be a number of processors, such as 0.5 or 2",
    ),
    ("SLAPOS_LIMIT_CPUS", "inf", "must be a number of processors"),
    ("SLAPOS_LIMIT_CPUS", "NaN", "must be a number of processors"),
    (
        "SLAPOS_LIMIT_CPUS",
        "4",
        "asks for 4, and an instance of this node may have 3 of its processors",
    ),
    (
        "SLAPOS_LIMIT_TASKS",
        "-1",
        "must be a number of processes and threads, at least 8",
    ),
    (
        "SLAPOS_LIMIT_TASKS",
        "1001",
        "asks for 1001, and an instance of this node may have 1000",
    ),
    ("SLAPOS_LIMIT_DISK", "5", "must be a size of at least 16M"),
    (
        "SLAPOS_LIMIT_DISK",
        "2G",
        "asks for 2G, and an instance of this node may have 1024 MiB",
    ),
    (
        "SLAPOS_LIMIT_CPU_WEIGHT",
        "101",
        "must be a number from 1 to 100",
    ),
    (
        "SLAPOS_LIMIT_IO_WEIGHT",
        "0",
        "must be a number from 1 to 100",
    ),
    (
        "SLAPOS_LIMIT_DISC",
        "1",
        "its parameter `SLAPOS_LIMIT_DISC` limits nothing: there are SLAPOS_LIMIT_MEMORY, ",
    ),
];

#[test]
fn what_cannot_be_given_is_said_in_words() {
    for (name, value, words) in REFUSED {
        let said = given(&[(name, value)]).unwrap_err().to_string();
        assert!(said.contains(words), "{name}={value}: {said}");
    }
}

#[test]
fn of_a_disk_without_quotas_nobody_is_promised_a_part() {
    let without = Most {
        disk: None,
        disk_has_quotas: false,
        ..most()
    };
    let asked = map(&[("SLAPOS_LIMIT_DISK", "64M")]);
    let said = Limits::understand(&asked, &without).unwrap_err();
    assert_eq!(
        said.to_string(),
        "its parameter `SLAPOS_LIMIT_DISK` asks for 64M, and the disk of this node has no quotas of users and projects, which would hold it to that"
    );
    let limits = Limits::understand(&Asked::new(), &without).unwrap();
    assert_eq!(limits.disk_in_words(), None);
}

#[test]
fn limits_are_told_apart() {
    let one = given(&[]).unwrap();
    assert_eq!(one.fingerprint(), given(&[]).unwrap().fingerprint());
    for other in NAMES.into_iter().filter(|name| *name != DISK) {
        let other = given(&[(other, if other == MEMORY { "64M" } else { "1" })]);
        if let Ok(other) = other {
            assert_ne!(one.fingerprint(), other.fingerprint(), "{other}");
        }
    }
    // The slice is none the wiser.
    let other = given(&[(DISK, "64M")]).unwrap();
    assert_eq!(one.fingerprint(), other.fingerprint());
}
