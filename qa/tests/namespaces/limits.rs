//! What an instance may use is held by the kernel as its request says, and changes while it serves. Here systemd is asked what it was
//! told: the machine that runs this may have no controllers; that an instance is killed which uses more is tried in a machine of QEMU.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

use anyhow::{Context as _, Result, ensure};
use slap::SupplyState;
use slapbox_qa::cell::Cell;
use slapbox_qa::eventually::{eventually, minutes};
use slapbox_qa::open_master::{OpenMaster, Wish};
use slapbox_qa::shelf::Shelf;
use slapbox_qa::slapproxy::document;
use slapbox_qa::story::act;

use crate::in_a_box::in_a_box;

const SLICE: &str = "slappart0.slice";
const SERVICE: &str = "slappart0-nginx.service";
/// What a partition of this node may use at most.
const MOST: &str = "[limits]\nmemory = \"1G\"\ncpus = 2\ntasks = 512\n";

#[tokio::test]
async fn an_instance_may_use_what_its_request_says_and_its_node_gives() -> Result<()> {
    in_a_box(
        "limits",
        &document(10, MOST),
        async |cell, product, python, folder| {
            let things = folder.join("shelf");
            std::fs::create_dir(&things)?;
            symlink(&product.demo, things.join("demo.oci.tar"))?;
            let _shelf = Shelf::open(cell, &python, &things, &folder.join("shelf.log")).await?;
            let master = OpenMaster::start(cell, folder).await?;
            master.knows_partitions(10).await?;
            play(cell, &master).await
        },
    )
    .await
}

/// Less of everything, and what systemd is told of it.
const LESS: [(&str, &str); 5] = [
    ("SLAPOS_LIMIT_MEMORY", "256M"),
    ("SLAPOS_LIMIT_CPUS", "0.5"),
    ("SLAPOS_LIMIT_TASKS", "64"),
    ("SLAPOS_LIMIT_CPU_WEIGHT", "10"),
    ("SLAPOS_LIMIT_IO_WEIGHT", "20"),
];
const HELD_TO_LESS: [(&str, &str); 5] = [
    ("MemoryMax", "268435456"),
    ("CPUQuotaPerSecUSec", "500ms"),
    ("TasksMax", "64"),
    ("CPUWeight", "10"),
    ("IOWeight", "20"),
];
const HELD_TO_MOST: [(&str, &str); 5] = [
    ("MemoryMax", "1073741824"),
    ("CPUQuotaPerSecUSec", "2s"),
    ("TasksMax", "512"),
    ("CPUWeight", "100"),
    ("IOWeight", "100"),
];
/// What cannot be given, and what is said of it.
const REFUSED: [(&str, &str, &str); 3] = [
    (
        "SLAPOS_LIMIT_DISK",
        "64M",
        "asks for 64M, and the disk of this node has no quotas of users and projects",
    ),
    (
        "SLAPOS_LIMIT_MEMORY",
        "2G",
        "asks for 2G, and an instance of this node may have 1024 MiB",
    ),
    (
        "SLAPOS_LIMIT_MEMORY",
        "lots",
        "is `lots`, and must be a size of at least 16M",
    ),
];

async fn play(cell: &Cell, master: &OpenMaster<'_>) -> Result<()> {
    let release = Shelf::address("demo.oci.tar");
    master.supply(&release, SupplyState::Available).await?;
    let ask = async |limits: &[(&str, &str)]| {
        let parameters = [&[("greeting", "hello")], limits].concat();
        let wish = Wish::started("site", &release, &parameters);
        master.request(&wish).await.map(drop)
    };
    act("request an instance that asks for nothing: it gets what the node gives to one");
    ask(&[]).await?;
    is_held_to(cell, HELD_TO_MOST).await?;
    has_come_to(cell, "Started", 1).await?;
    let before = running(cell)?;
    ensure!(before["LimitNPROC"] == "512", "{before:?}");
    let configures = properties(cell, "slapconfiguration.slice", "MemoryMax")?;
    ensure!(
        configures["MemoryMax"].parse::<u64>().is_ok(),
        "what configures has {configures:?}"
    );
    let serves_on = || {
        let after = running(cell)?;
        ensure!(after == before, "it was started anew: {after:?}");
        Ok(())
    };
    act("ask for less: it serves on, and is held to that");
    ask(&LESS).await?;
    is_held_to(cell, HELD_TO_LESS).await?;
    has_come_to(cell, "Started", 1).await?;
    let told = cell.text("/srv/slapgrid/slappart0/.slapgrid/parameters.json")?;
    ensure!(
        !told.contains("SLAPOS_LIMIT"),
        "it is configured with {told}"
    );
    serves_on()?;
    act("ask for what cannot be given: that is said, and it serves as before");
    for (name, value, words) in REFUSED {
        ask(&[(name, value)]).await?;
        has_come_to(cell, words, 0).await?;
        is_held_to(cell, HELD_TO_LESS).await?;
    }
    hears(master, REFUSED[2].2).await?;
    serves_on()?;
    act("ask for nothing again");
    ask(&[]).await?;
    is_held_to(cell, HELD_TO_MOST).await?;
    has_come_to(cell, "Started", 1).await?;
    serves_on()
}

/// Waits until the master has heard what is wrong.
async fn hears(master: &OpenMaster<'_>, words: &str) -> Result<()> {
    eventually(format!("the master hears: {words}"), async || {
        let heard = master.heard_of_partition("slappart0").await?;
        ensure!(heard.contains(words), "{heard}");
        Ok(())
    })
    .within(minutes(1))
    .await
}

/// Waits until systemd says of the partition's slice what it was told.
async fn is_held_to<const N: usize>(cell: &Cell, wanted: [(&str, &str); N]) -> Result<()> {
    eventually(format!("the partition is held to {wanted:?}"), async || {
        cell.looks_again()?;
        let names = wanted.map(|(name, _)| name).join(",");
        let found = properties(cell, SLICE, &names)?;
        for (name, value) in wanted {
            ensure!(found.get(name).is_some_and(|it| it == value), "{found:?}");
        }
        Ok(())
    })
    .within(minutes(2))
    .await
}

/// Waits until so many instances are started and nothing is wrong, or until something is said to be wrong.
async fn has_come_to(cell: &Cell, words: &str, started: usize) -> Result<()> {
    eventually(format!("it has come to: {words}"), async || {
        cell.looks_again()?;
        let status: serde_json::Value =
            serde_json::from_str(&cell.text("/run/slapbox/status.json")?)?;
        let failures = status["failures"].as_array().context("no list")?;
        let is_so = match started {
            0 => failures
                .iter()
                .any(|it| it["message"].as_str().is_some_and(|it| it.contains(words))),
            _ => failures.is_empty() && status["instances"]["started"] == started,
        };
        ensure!(is_so, "{status}");
        Ok(())
    })
    .within(minutes(2))
    .await
}

/// What tells whether a service was started anew.
fn running(cell: &Cell) -> Result<BTreeMap<String, String>> {
    properties(
        cell,
        SERVICE,
        "MainPID,NRestarts,ActiveEnterTimestampMonotonic,LimitNPROC",
    )
}

fn properties(cell: &Cell, unit: &str, names: &str) -> Result<BTreeMap<String, String>> {
    let names = format!("--property={names}");
    let said = cell.namespace().run(&["systemctl", "show", unit, &names])?;
    let lines = said.lines().filter_map(|line| line.split_once('='));
    Ok(lines
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}
