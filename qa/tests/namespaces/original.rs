//! The same release on a box and on the original's node, at the same master: what is published, what promises say and what is in the
//! partitions is the same, but for what belongs to the original's supervisor and what a box keeps for itself.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use camino::Utf8Path;
use serde_json::{Map, Value};
use slapbox_qa::slapproxy::ADDRESS;

use crate::slapproxy::{Site, Stage, play};

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../master/tests/peer");
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/namespaces/original");
const COMPUTER: &str = "original";
const PARTITION: &str = "/srv/slapgrid/slappart0";
/// What is only in a partition of the original's node: its supervisor's and its own logs.
const OF_THE_ORIGINAL: [&str; 3] = [
    ".slapgrid/log",
    ".slapgrid/log/instance.log",
    ".slappart0_web.log",
];
/// What is only in a partition of a box: what the last order was, and the parameters as a file, for images.
const OF_A_BOX: [&str; 2] = [".slapgrid/order", ".slapgrid/parameters.json"];

#[tokio::test]
async fn a_release_makes_the_same_on_a_box_and_on_the_original() -> Result<()> {
    let builder = format!(
        "builder = \"{}\"",
        slapbox_qa::shelf::Shelf::address("builder.oci.tar")
    );
    play("beside-the-original", &builder, async |stage, _product| {
        let release = stage.shelf.url("web.cfg");
        stage.supply(&release).await?;
        let site = Site {
            title: "of a box",
            release: &release,
            parameter: "color=red".to_owned(),
        };
        stage.start(&site).await?;
        let url = stage.published(&site)?;
        let ours = of_box(stage)?;
        let sharing = stage.shelf.url("shared-one.cfg");
        stage.supply_another(&sharing).await?;
        let theirs = of_original(stage, &release, &sharing)?;
        same_parts(stage, &sharing, &theirs)?;
        ensure!(
            ours["promises"] == theirs["promises"],
            "promises: {} here, {} there",
            ours["promises"],
            theirs["promises"]
        );
        same_files(&ours, &theirs)?;
        same_texts(&ours, &theirs)?;
        let published = &theirs["published"];
        let their_url = published["url"].as_str().unwrap_or_default();
        ensure!(
            published["color"] == "red" && after_address(their_url) == after_address(&url),
            "published: {url} here, {published} there"
        );
        Ok(())
    })
    .await
}

fn of_box(stage: &Stage<'_>) -> Result<Value> {
    let root = stage.cell.namespace().root()?;
    let mut describe = Command::new(&stage.python);
    describe.arg(format!("{SCRIPTS}/describe.py"));
    described(describe.arg(format!("{root}{PARTITION}")).arg(PARTITION))
}

fn of_original(stage: &Stage<'_>, release: &str, sharing: &str) -> Result<Value> {
    let peer = stage.python.parent().context("a Python in a folder")?;
    let furnish = Utf8Path::new(TESTS).join("furnish.sh");
    let mut node = stage.cell.namespace().command_beside("unshare")?;
    node.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["--propagation", "private", "--", "sh", furnish.as_str()])
        .args([peer.as_str(), TESTS, "/opt/slapos/python"])
        .arg(format!("{SCRIPTS}/beside.py"))
        .args([&format!("http://{ADDRESS}"), COMPUTER, release, "red"])
        .arg(sharing);
    described(&mut node)
}

fn described(command: &mut Command) -> Result<Value> {
    let ended = command.output().context("cannot run Python")?;
    let said = String::from_utf8_lossy(&ended.stdout);
    let wrong = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "it failed: {said}{wrong}");
    let last = said.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("no description: {said}"))
}

/// The parts that a release shares lie in the same places, and it is told so in the same words.
fn same_parts(stage: &Stage<'_>, release: &str, theirs: &Value) -> Result<()> {
    const SHARED: &str = "/srv/slapgrid/software/.shared";
    let list = format!("cd {SHARED} && find . -mindepth 1 -printf '%P\\n' | LC_ALL=C sort");
    let found = stage.cell.namespace().run(&["sh", "-c", &list])?;
    let ours: Vec<&str> = found.lines().collect();
    ensure!(
        theirs["shared"] == serde_json::json!(ours) && ours.len() > 4,
        "shared: {ours:?} here, {} there",
        theirs["shared"]
    );
    let profile = format!("grep -lF '{release}' /srv/slapgrid/software/*/buildout.cfg | xargs cat");
    let profile = stage.cell.namespace().run(&["sh", "-c", &profile])?;
    let profile = profile.replace(SHARED, "@shared@");
    ensure!(
        theirs["profile"] == profile.as_str(),
        "profile: {profile:?} here, {} there",
        theirs["profile"]
    );
    Ok(())
}

fn same_files(ours: &Value, theirs: &Value) -> Result<()> {
    let (ours, theirs) = (object(ours, "files")?, object(theirs, "files")?);
    let only = |these: &Map<String, Value>, those: &Map<String, Value>| {
        let names = these.keys().filter(|name| !those.contains_key(*name));
        names.cloned().collect::<Vec<_>>()
    };
    let (here, there) = (only(ours, theirs), only(theirs, ours));
    ensure!(
        here == OF_A_BOX && there == OF_THE_ORIGINAL,
        "only here: {here:?}; only there: {there:?}"
    );
    for (name, kind) in ours {
        if let Some(theirs) = theirs.get(name) {
            ensure!(kind == theirs, "{name}: {kind} here, {theirs} there");
        }
    }
    Ok(())
}

fn same_texts(ours: &Value, theirs: &Value) -> Result<()> {
    let (ours, theirs) = (object(ours, "texts")?, object(theirs, "texts")?);
    let lines = |text: Option<&Value>| -> Result<Vec<Value>> {
        let lines = text.and_then(Value::as_array).cloned();
        lines.context("a text is not described")
    };
    for name in ours.keys() {
        let (ours, theirs) = (lines(ours.get(name))?, lines(theirs.get(name))?);
        for (here, there) in ours.iter().zip(&theirs) {
            ensure!(here == there, "{name}: {here} here, {there} there");
        }
        ensure!(ours.len() == theirs.len(), "{name} is longer on one side");
    }
    Ok(())
}

fn object<'a>(described: &'a Value, part: &str) -> Result<&'a Map<String, Value>> {
    let part = described[part].as_object();
    part.with_context(|| format!("it is not described: {described}"))
}

/// What follows the address in a URL.
fn after_address(url: &str) -> Option<&str> {
    url.split_once(']').map(|(_, rest)| rest)
}
