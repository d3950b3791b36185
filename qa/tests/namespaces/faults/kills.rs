//! An agent that is killed at any moment of anything: whatever it was at, the next one comes to what is wanted.

use std::time::Duration;

use anyhow::{Result, ensure};
use slap::{RequestedState, SupplyState};
use slapbox_qa::eventually::{eventually, minutes};
use slapbox_qa::shelf::Shelf;
use slapbox_qa::story::act;

use super::stage::{Scene, Stage, moody, play};

/// Lives of an instance, each with a kill at each of its turns.
const LIVES: u32 = 4;
/// A kill comes within that time, in milliseconds: the agent is done with anything after about half a second.
const WITHIN: u64 = 600;

/// Moments that differ from kill to kill and are the same on each run: a linear congruential generator, as in POSIX's `rand48`.
struct Moments(u64);

impl Moments {
    fn next(&mut self) -> Duration {
        self.0 = (self.0.wrapping_mul(0x5_DEEC_E66D) + 0xB) & 0xFFFF_FFFF_FFFF;
        Duration::from_millis((self.0 >> 17) % WITHIN)
    }
}

#[tokio::test]
async fn an_agent_that_is_killed_at_any_moment_goes_on() -> Result<()> {
    let scene = Scene {
        name: "faults-kills",
        disk: None,
        builds: false,
    };
    play(scene, async |stage| {
        let mut moments = Moments(2026);
        let moody_url = Shelf::address("moody.oci.tar");
        for life in 0..LIVES {
            act(format_args!("life {}", life + 1));
            stage
                .master
                .supply(&moody_url, SupplyState::Available)
                .await?;
            kill(stage, moments.next()).await?;
            stage.hears_of_release(&moody_url, "available").await?;
            for state in [
                RequestedState::Started,
                RequestedState::Stopped,
                RequestedState::Started,
                RequestedState::Destroyed,
            ] {
                let wish = moody("short-lived", "none").that_is(state);
                stage.master.request(&wish).await?;
                kill(stage, moments.next()).await?;
                stage.is_as_wanted().await?;
                is_seen(stage, state)?;
            }
            stage
                .master
                .supply(&moody_url, SupplyState::Destroyed)
                .await?;
            kill(stage, moments.next()).await?;
            is_gone(stage, &moody_url).await?;
        }
        Ok(())
    })
    .await
}

/// Kills the agent after a while, which systemd then starts anew.
async fn kill(stage: &Stage<'_>, after: Duration) -> Result<()> {
    act(format_args!(
        "kill the agent after {} ms",
        after.as_millis()
    ));
    tokio::time::sleep(after).await;
    stage
        .shell("systemctl kill --signal KILL slapbox-agent.service")
        .map(drop)
}

/// What the partition is, seen from outside.
fn is_seen(stage: &Stage<'_>, state: RequestedState) -> Result<()> {
    let units = stage.shell("systemctl list-units --plain --no-legend 'slappart1-*.service'")?;
    let runs = units.contains("slappart1-nginx.service");
    ensure!(
        runs == (state == RequestedState::Started),
        "when {state:?}: {units}"
    );
    if state == RequestedState::Destroyed {
        stage
            .cell
            .holds_only("/srv/slapgrid/slappart1", &[".slapos-resource"])?;
    }
    Ok(())
}

/// Neither the release nor anything half-made of it is left: only the innocent instance's is there.
async fn is_gone(stage: &Stage<'_>, url: &str) -> Result<()> {
    eventually("the release is gone", async || {
        let listed = stage.shell("ls -A /srv/slapgrid/software")?;
        // What releases share is what is left of the other one.
        let releases = listed.lines().filter(|name| *name != ".content");
        ensure!(releases.count() == 1, "there are {listed}");
        let heard = stage.master.heard_of_release(url).await;
        ensure!(heard.is_err(), "the master has heard {heard:?}");
        Ok(())
    })
    .within(minutes(2))
    .await
}
