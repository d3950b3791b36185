//! `slapbox net …`: the overlay. What this machine sees of it is what the overlay's daemon writes; no login is needed for that.

mod map;
mod state;

use std::time::SystemTime;

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use super::node::systemd;
use crate::arguments::{Net, NetCommand, NetLook};
use crate::failure::Stop;
use crate::{output, tables};

pub(crate) use map::Map;
#[cfg(test)]
pub(crate) use state::CONNECTED;
pub(crate) use state::{Link, NetState, NoLink};

/// Where the daemon writes on every node that systemd keeps.
const RUN: &str = "/run/slapbox-re6st";

/// Does what was typed.
pub(super) async fn run(net: Net, now: SystemTime) -> Result<()> {
    match net.command {
        None => look(&net.look, now).await,
        Some(NetCommand::Map(asked)) => map::run(&asked).await,
    }
}

/// Prints the metrics; whether they are good is for who watches them to say.
fn metrics(run: &Utf8Path) -> Result<()> {
    match state::read(&run.join("metrics.prom"))? {
        Some(said) => output::print(&said.text),
        None => Err(absent(run).into()),
    }
}

async fn look(asked: &NetLook, now: SystemTime) -> Result<()> {
    if asked.metrics {
        return metrics(&asked.run);
    }
    let Some(said) = state::read(&asked.run.join("node.json"))? else {
        return Err(absent(&asked.run).into());
    };
    let state = NetState::parse(&said.text).with_context(|| {
        format!(
            "`{}/node.json` is not what the overlay's daemon writes",
            asked.run
        )
    })?;
    if asked.json {
        output::print(&said.text)?;
    } else {
        let age = now.duration_since(said.written).unwrap_or_default();
        output::print(&tables::net(&state, age.as_secs()))?;
    }
    // What it wrote outlives it.
    let runs = asked.run != RUN || systemd::is_active(systemd::OVERLAY).await?;
    match state.complaint(runs) {
        None => Ok(()),
        Some(words) => Err(Stop { status: 1, words }.into()),
    }
}

fn absent(run: &Utf8Path) -> Stop {
    Stop {
        status: 1,
        words: format!(
            "the overlay's daemon has written nothing into `{run}`: `slapbox node` shows whether this machine is a node, \
             `systemctl status {}` why the daemon does not run",
            systemd::OVERLAY
        ),
    }
}
