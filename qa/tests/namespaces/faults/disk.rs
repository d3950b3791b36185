//! A disk that gets full at any moment of processing, and stays so: whatever is freed is taken by somebody else at once.

use std::time::Duration;

use anyhow::{Result, ensure};
use slap::{RequestedState, SupplyState};
use slapbox_qa::child::Child;
use slapbox_qa::eventually::{eventually, seconds};
use slapbox_qa::open_master::Wish;
use slapbox_qa::shelf::Shelf;
use slapbox_qa::story::act;

use super::stage::{Scene, Stage, moody, play};

/// When the disk gets full, in milliseconds after the wish: an instance is made within about half a second.
const MOMENTS: [u64; 6] = [0, 0, 30, 60, 150, 400];
/// What is there until then, in pages.
const ROOM: u32 = 400;
const FULL: &str = "No space left on device";
/// Takes what is free, and what gets free.
const HOG: &str = "while true; do cat /dev/zero >> /srv/filler 2> /dev/null; sleep 0.005; done";

#[tokio::test]
async fn a_full_disk_is_reported_and_nothing_is_half_done_when_there_is_room_again() -> Result<()> {
    let scene = Scene {
        name: "faults-disk",
        disk: Some(1200),
        builds: false,
    };
    play(scene, async |stage| {
        stage.has_release("moody.oci.tar").await?;
        stage.master.request(&moody("patient", "none")).await?;
        stage.is_as_wanted().await?;
        let mut reported = 0;
        for (number, moment) in MOMENTS.into_iter().enumerate() {
            reported += usize::from(is_reported(stage, number, moment).await?);
        }
        ensure!(
            reported > 2,
            "only {reported} times the disk was full in time"
        );
        no_release_can_be_installed(stage).await?;
        what_is_there_can_go(stage).await
    })
    .await
}

/// Changes an instance, and fills the disk after a while; says whether that came too soon. Then there is room again, and it is as it was
/// wanted.
async fn is_reported(stage: &Stage<'_>, number: usize, moment: u64) -> Result<bool> {
    act(format_args!("the disk gets full after {moment} ms"));
    fill(stage, ROOM)?;
    let greeting = format!("greeting {number}");
    let parameters = [("greeting", greeting.as_str()), ("fault", "none")];
    let wish = Wish::started("patient", &Shelf::address("moody.oci.tar"), &parameters);
    stage.master.request(&wish).await?;
    tokio::time::sleep(Duration::from_millis(moment)).await;
    let mut hog = stage.cell.namespace().command("sh")?;
    hog.args(["-c", HOG]);
    let hog = Child::start("who takes all room", &hog, &stage.things.join("hog.log"))?;
    let is_reported = outcome(stage).await?;
    drop(hog);
    if is_reported {
        stage.hears_of_partition("slappart1", FULL).await?;
    }
    empty(stage)?;
    stage.is_as_wanted().await?;
    stage.hears_of_partition("slappart1", "#access").await?;
    let page = stage.shell("cat /srv/slapgrid/slappart1/srv/www/index.html")?;
    ensure!(page.contains(&greeting), "its page is {page}");
    Ok(is_reported)
}

/// Says whether the instance has failed for want of room. It may have been made before, or not be served yet: its program then ends again
/// and again, which is told when that lasts.
async fn outcome(stage: &Stage<'_>) -> Result<bool> {
    let has_failed = async || {
        let failures = stage.status()?["failures"].to_string();
        if failures.contains("slappart1") && failures.contains(FULL) {
            return Ok(true);
        }
        stage.carried_out().await.map(|()| false)
    };
    let outcome = eventually("it has failed, or was made in time", has_failed);
    Ok(outcome.within(seconds(10)).await.unwrap_or(false))
}

async fn no_release_can_be_installed(stage: &Stage<'_>) -> Result<()> {
    fill(stage, 100)?;
    std::fs::copy(&stage.product.demo, stage.things.join("more.oci.tar"))?;
    let url = Shelf::address("more.oci.tar");
    stage.master.supply(&url, SupplyState::Available).await?;
    stage.hears_of_release(&url, "failed to fetch it").await?;
    stage.says(&url, "there is room for").await?;
    empty(stage)?;
    stage.hears_of_release(&url, "available").await
}

/// To stop and to destroy needs no room.
async fn what_is_there_can_go(stage: &Stage<'_>) -> Result<()> {
    fill(stage, 0)?;
    let gone = moody("patient", "none").that_is(RequestedState::Destroyed);
    stage.master.request(&gone).await?;
    stage.is_as_wanted().await?;
    stage
        .cell
        .holds_only("/srv/slapgrid/slappart1", &[".slapos-resource"])?;
    empty(stage)
}

fn fill(stage: &Stage<'_>, left: u32) -> Result<()> {
    let fill = format!(
        "free=$(df --output=avail -B4096 /srv | tail -n 1); fallocate -l $(( (free - {left}) * 4096 )) /srv/filler"
    );
    stage.shell(&fill).map(drop)
}

fn empty(stage: &Stage<'_>) -> Result<()> {
    stage.shell("rm /srv/filler").map(drop)
}
