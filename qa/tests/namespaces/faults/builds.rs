//! Builds that go wrong: one fills the disk, one never ends and starts processes as long as it may.

use anyhow::{Result, ensure};
use slap::SupplyState;
use slapbox_qa::eventually::{eventually, minutes};
use slapbox_qa::files::put;
use slapbox_qa::shelf::Shelf;

use super::stage::{Scene, Stage, play};

/// A release that fetches what goes wrong in its build.
const PROFILE: &str = "[buildout]
extends = HERE/web.cfg
parts += mood
[mood]
recipe = plone.recipe.command
command = ${buildout:executable} -c 'import urllib.request as it; exec(it.urlopen(\"HERE/mood.py\").read())'
stop-on-error = true
";
const FILLS: &str = "
import os
with open('filler', 'wb') as filler:
    while True:
        filler.write(bytes(1 << 20))
";
const FORKS: &str = "
import os, signal, time
while True:
    try:
        if not os.fork():
            signal.pause()
    except OSError:
        time.sleep(0.1)
";
/// As many processes as a build may have; the units' own shells among them.
const MOST_TASKS: usize = 4096;

#[tokio::test]
async fn builds_that_go_wrong_end_and_leave_nothing() -> Result<()> {
    let scene = Scene {
        name: "faults-builds",
        disk: Some(3000),
        builds: true,
    };
    play(scene, async |stage| {
        fills_the_disk(stage).await?;
        never_ends(stage).await
    })
    .await
}

async fn fills_the_disk(stage: &Stage<'_>) -> Result<()> {
    let url = lay_out(stage, "filling.cfg")?;
    put(&stage.things.join("mood.py"), FILLS)?;
    stage.master.supply(&url, SupplyState::Available).await?;
    stage
        .hears_of_release(&url, "No space left on device")
        .await?;
    stage.says(&url, "buildout failed (exit status 1)").await?;
    ensure!(
        free_megabytes(stage)? > 1000,
        "what filled the disk is still there"
    );
    put(&stage.things.join("mood.py"), "")?;
    stage.hears_of_release(&url, "available").await
}

async fn never_ends(stage: &Stage<'_>) -> Result<()> {
    let url = lay_out(stage, "endless.cfg")?;
    put(&stage.things.join("mood.py"), FORKS)?;
    stage.master.supply(&url, SupplyState::Available).await?;
    eventually("it has all the processes that it may have", async || {
        let count = processes(stage)?;
        ensure!(count > MOST_TASKS / 2, "{count} processes");
        Ok(())
    })
    .within(minutes(2))
    .await?;
    let count = processes(stage)?;
    ensure!(count <= MOST_TASKS, "a build has {count} processes");
    stage.master.supply(&url, SupplyState::Destroyed).await?;
    eventually("nothing of it is left", async || {
        let count = processes(stage)?;
        ensure!(count == 0, "{count} processes");
        let heard = stage.master.heard_of_release(&url).await;
        ensure!(heard.is_err(), "the master has heard {heard:?}");
        Ok(())
    })
    .within(minutes(2))
    .await
}

fn lay_out(stage: &Stage<'_>, name: &str) -> Result<String> {
    let here = Shelf::address("");
    let profile = PROFILE.replace("HERE", here.trim_end_matches('/'));
    put(&stage.things.join(name), profile)?;
    Ok(Shelf::address(name))
}

fn processes(stage: &Stage<'_>) -> Result<usize> {
    // The state of each of the software user's processes is one line.
    let said = stage.shell("grep -l '^Uid:.19999' /proc/[0-9]*/status 2>/dev/null | wc -l")?;
    Ok(said.trim().parse()?)
}

fn free_megabytes(stage: &Stage<'_>) -> Result<u64> {
    let said = stage.shell("df --output=avail -B1M /srv | tail -n 1")?;
    Ok(said.trim().parse()?)
}
