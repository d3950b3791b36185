//! Invariant 9: a partition can read nothing of another. Two partitions run a release that tries all that it must not, on the other one and
//! on the node, and what it must not succeeds nowhere; the same attempts on its own partition, and as root, show that they could.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use camino::Utf8Path;
use serde::Deserialize;
use slap::SupplyState;
use slapbox_qa::archive::Image;
use slapbox_qa::cell::Cell;
use slapbox_qa::eventually::{eventually, minutes, seconds};
use slapbox_qa::files::empty_folder;
use slapbox_qa::open_master::{OpenMaster, Wish};
use slapbox_qa::product;
use slapbox_qa::shelf::Shelf;
use slapbox_qa::slapproxy::document;

use crate::in_a_box::in_a_box;

const HOSTILE: &str = include_str!("isolation/hostile.py");
const INSTANTIATE: &str = "#!/bin/sh
set -eu
mkdir -p etc/service
printf '#!/bin/sh\\nexec /usr/bin/python3 /slapos/hostile.py serve\\n' > etc/service/hostile
chmod 755 etc/service/hostile
";
/// Runs the same program as root, in the release's root but with the node's own folders.
const AS_ROOT: &str = "set -e
root=$(echo /srv/slapgrid/software/*/rootfs)
mount --rbind $root $root
for folder in proc sys dev run var etc srv; do mount --rbind /$folder $root/$folder; done
cd $root
pivot_root . mnt
exec /usr/bin/python3 /slapos/hostile.py root";
/// As many processes as a partition may have, and no more.
const MOST_TASKS: u64 = 4096;
const DONE: &str = "done";

/// What does succeed, since partitions share one network: an address there is nobody's, and so is a socket that has a name but no file.
/// systemd binds such rules to ports only, and not to addresses.
const NOT_HELD: [&str; 3] = [
    "bind_its_ipv4",
    "bind_its_ipv6",
    "connect_to_its_abstract_socket",
];

/// What root cannot do either on a machine that is a container itself.
const NOT_EVEN_ROOT: [&str; 1] = ["raise_a_limit"];

/// What came of attempts: on another partition with the control on the own one, on the node, and how many processes there can be.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Outcome {
    OnPartitions { own: String, other: String },
    OnNode { node: String },
    Count(u64),
}

#[tokio::test]
async fn a_partition_reaches_nothing_of_another_nor_of_the_node() -> Result<()> {
    const NAME: &str = "isolation";
    let builder = product::target()?.join("image/builder/builder.oci.tar");
    if !builder.exists() {
        return product::skip(
            NAME,
            "`cargo image builder` makes the builder, which has Python",
        );
    }
    let document = document(4, "");
    in_a_box(NAME, &document, async |cell, product, python, folder| {
        let things = folder.join("shelf");
        empty_folder(&things)?;
        Image::of(&product.builder)?
            .with_programs(&[
                ("slapos/instantiate", INSTANTIATE),
                ("slapos/hostile.py", HOSTILE),
            ])?
            .write(&things.join("hostile.oci.tar"))?;
        let _shelf = Shelf::open(cell, &python, &things, &folder.join("shelf.log")).await?;
        play(cell, folder).await
    })
    .await
}

async fn play(cell: &Cell, folder: &Utf8Path) -> Result<()> {
    let master = OpenMaster::start(cell, folder).await?;
    let release = Shelf::address("hostile.oci.tar");
    master.supply(&release, SupplyState::Available).await?;
    master.knows_partitions(4).await?;
    let places = [place(0), place(1)];
    for (number, own) in places.iter().enumerate() {
        let other = &places[1 - number];
        let title = format!("hostile {number}");
        let wish = Wish::started(&title, &release, &[("own", own), ("other", other)]);
        let instance = master.request(&wish).await?;
        ensure!(
            instance.partition.index() == u16::try_from(number).ok(),
            "it is elsewhere"
        );
    }
    for number in 0..places.len() {
        let socket = format!("/srv/slapgrid/slappart{number}/socket");
        eventually("it has laid out what it has", async || {
            cell.namespace().run(&["test", "-S", &socket]).map(drop)
        })
        .within(minutes(2))
        .await?;
    }
    let goes = [0, 1].map(|number| format!("/srv/slapgrid/slappart{number}/go"));
    cell.namespace().run(&["touch", &goes[0], &goes[1]])?;
    let controls = as_root(cell)?;
    for number in 0..places.len() {
        let tried = tried(cell, number).await?;
        judge(&tried, &controls)?;
    }
    planted_by_themselves(cell)
}

/// Who a partition is, as the other one is told.
fn place(number: u16) -> String {
    let host = number + 2;
    format!(
        "{{\"partition\": \"slappart{number}\", \"number\": {number}, \"ipv6\": \"fd12:3456:789a:1::{host:x}\", \
         \"ipv4\": \"10.0.0.{host}\"}}"
    )
}

/// What each has planted in its own folder is there, and its own.
fn planted_by_themselves(cell: &Cell) -> Result<()> {
    let list = "stat -c '%U %n' /srv/slapgrid/slappart*/planted";
    let said = cell.namespace().run(&["sh", "-c", list])?;
    let wanted =
        "slapuser0 /srv/slapgrid/slappart0/planted\nslapuser1 /srv/slapgrid/slappart1/planted\n";
    ensure!(said == wanted, "planted are {said}");
    Ok(())
}

fn as_root(cell: &Cell) -> Result<BTreeMap<String, String>> {
    let said = cell
        .namespace()
        .run(&["unshare", "--mount", "sh", "-c", AS_ROOT])?;
    serde_json::from_str(&said).with_context(|| format!("no outcomes: {said}"))
}

async fn tried(cell: &Cell, number: usize) -> Result<BTreeMap<String, Outcome>> {
    let path = format!("/srv/slapgrid/slappart{number}/tried.json");
    let said = eventually("it has tried everything", async || cell.text(&path));
    let said = said.within(seconds(120)).await?;
    serde_json::from_str(&said).with_context(|| format!("no outcomes: {said}"))
}

/// Names every attempt that went otherwise than it should.
fn judge(tried: &BTreeMap<String, Outcome>, controls: &BTreeMap<String, String>) -> Result<()> {
    let wrong: Vec<String> = tried
        .iter()
        .filter_map(|(attempt, outcome)| {
            Some(format!("{attempt}: {}", wrong(attempt, outcome, controls)?))
        })
        .collect();
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    let on_node = tried.values();
    let on_node = on_node.filter(|it| matches!(it, Outcome::OnNode { .. }));
    ensure!(
        on_node.count() == controls.len(),
        "not everything was tried"
    );
    Ok(())
}

fn wrong(attempt: &str, outcome: &Outcome, controls: &BTreeMap<String, String>) -> Option<String> {
    match outcome {
        Outcome::OnPartitions { own, .. } if own != DONE => {
            Some(format!("fails on its own partition, too: {own}"))
        }
        Outcome::OnPartitions { other, .. } => match (other == DONE, NOT_HELD.contains(&attempt)) {
            (true, false) => Some("succeeds on another partition".to_owned()),
            (false, true) => Some(format!("is held after all: {other}")),
            (true, true) | (false, false) => None,
        },
        Outcome::OnNode { node } if node == DONE => Some("succeeds on the node".to_owned()),
        Outcome::OnNode { .. } => {
            let control = controls.get(attempt).map(String::as_str);
            let is_known = control == Some(DONE) || NOT_EVEN_ROOT.contains(&attempt);
            (!is_known).then(|| format!("fails for root, too: {control:?}"))
        }
        Outcome::Count(count) => {
            (*count >= MOST_TASKS || *count < 100).then(|| format!("{count} processes at once"))
        }
    }
}
