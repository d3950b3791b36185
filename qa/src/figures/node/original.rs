//! The original's node: slapos.core as root in namespaces of its own, but in the network of the box, so that both have the same master and
//! the same releases. It makes as many partitions as it manages in a reasonable time; what counts is the time that each takes.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use camino::Utf8Path;
use serde::Deserialize;

use super::stage::{Processed, Stage};
use crate::child::dying_with_the_bench;
use crate::figures::Figure;
use crate::load::number;
use crate::slapproxy::ADDRESS;
use crate::story::act;

const COMPUTER: &str = "original";
const COUNT: usize = 5;
const FURNISH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../master/tests/peer/furnish.sh"
);
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../master/tests/peer");
const MEASURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/figures/node/original.py");

/// How long it took, in seconds.
#[derive(Debug, Deserialize)]
pub(super) struct Original {
    format: f64,
    software: f64,
    new: f64,
    changed: f64,
    changed_cpu: f64,
    /// What zc.buildout alone takes, without a node around it.
    alone: f64,
    alone_cpu: f64,
    unchanged: f64,
}

/// Has it make and change some instances of a release.
pub(super) async fn measure(
    stage: &Stage<'_>,
    release: &str,
    folder: &Utf8Path,
) -> Result<Original> {
    act(format_args!("the original's node, with {COUNT} partitions"));
    let peer = stage.python.parent().context("a Python in a folder")?;
    let beside = stage.cell.namespace().command_beside("unshare")?;
    let mut command: Command = dying_with_the_bench(&beside);
    command
        .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["--propagation", "private", "--", "sh", FURNISH])
        .args([peer.as_str(), TESTS, "/opt/slapos/python", MEASURE])
        .args([&format!("http://{ADDRESS}/"), COMPUTER, release])
        .arg(COUNT.to_string());
    let run = move || command.output().context("cannot run the original's node");
    let ended = tokio::task::spawn_blocking(run);
    let ended = ended.await.context("the original's node panicked")??;
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&ended.stderr).into_owned();
    crate::files::put(&folder.join("original.log"), format!("{said}{wrong}"))?;
    ensure!(
        ended.status.success(),
        "the original's node failed: {said}{wrong}"
    );
    let last = said.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("no figures: {said}"))
}

impl Original {
    /// Its figures, and what ours are of them.
    pub(super) fn figures(
        &self,
        image: &Processed,
        new: &Processed,
        changed: &Processed,
    ) -> Vec<Figure> {
        let each = |seconds: f64| seconds / number(COUNT);
        let watched = |name: &str, seconds: f64| Figure::watched(name, seconds, "s");
        vec![
            // The original has no images: what it makes of a buildout does the same, a page of some words.
            Figure::at_most(
                0.1,
                "image: a changed partition, of the original's",
                image.each() / each(self.changed),
                "",
            ),
            Figure::at_most(
                0.1,
                "buildout: a changed partition, of the original's",
                changed.each() / each(self.changed),
                "",
            ),
            Figure::watched(
                "buildout: a new partition, of the original's",
                new.each() / each(self.new),
                "",
            ),
            Figure::watched(
                "buildout: the same in processor time",
                changed.cpu_each()[0] / each(self.changed_cpu),
                "",
            ),
            watched(
                "original: a changed partition, processor time",
                each(self.changed_cpu),
            ),
            watched("zc.buildout alone", each(self.alone)),
            watched("zc.buildout alone, processor time", each(self.alone_cpu)),
            Figure::watched(
                "zc.buildout alone, of the original's",
                self.alone / self.changed,
                "",
            ),
            watched("original: a new partition", each(self.new)),
            watched("original: a changed partition", each(self.changed)),
            watched("original: 5 unchanged partitions", self.unchanged),
            watched("original: the release is built", self.software),
            watched("original: 5 partitions are made", self.format),
        ]
    }
}
