//! `slapbox node …`: this machine as a node. Speaks to systemd and to what the agent of this machine writes and answers, never to a
//! master: whoever is root here needs no login.

use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::arguments::{Node, NodeCommand, NodeStatus, PartitionLog};
use crate::failure::{Stop, not_root};
use crate::{output, tables};

mod ask;
mod console;
mod document;
mod facts;
mod progress;
mod register;
mod state;
pub(super) mod systemd;

use ask::{ask, bang, instance, look, prune, software};
pub(crate) use state::NodeState;
#[cfg(test)]
pub(crate) use state::SERVING;

const AGENT: &str = "/usr/bin/slapbox-agent";
/// What the agent says of an empty plan.
const NOTHING: &str = "nothing is to be done";

/// Does what was typed.
pub(super) async fn run(node: Node, proxy: Option<&str>) -> Result<()> {
    match node.command {
        None => status(node.status).await,
        Some(NodeCommand::Status(asked)) => status(asked).await,
        Some(NodeCommand::Register(wanted)) => register::register(*wanted, proxy).await,
        Some(NodeCommand::Plan { json }) => plan(json).await,
        Some(NodeCommand::Log(asked)) => log(&asked).await,
        Some(NodeCommand::Console { partition }) => console::console(partition),
        Some(NodeCommand::Software(it)) => ask(&software(&it), it.look.json).await,
        Some(NodeCommand::Instance(it)) => ask(&instance(&it), it.look.json).await,
        Some(NodeCommand::Prune(it)) => ask(&prune(&it), it.look.json).await,
        Some(NodeCommand::Promise(it)) => ask(&look("promise"), it.json).await,
        Some(NodeCommand::Report(it)) => ask(&look("report"), it.json).await,
        Some(NodeCommand::Format(it)) => ask(&look("format"), it.json).await,
        Some(NodeCommand::Bang { message, json }) => ask(&bang(&message), json).await,
    }
}

async fn status(asked: NodeStatus) -> Result<()> {
    if !systemd::is_active(systemd::AGENT).await? {
        return Err(not_running().into());
    }
    let json = state::json()?.context("the agent has just started: ask again in a moment")?;
    let state = NodeState::parse(&json)?;
    if asked.json {
        output::print(&json)?;
    } else {
        output::print(&tables::node(&state))?;
    }
    match state.complaint() {
        None => Ok(()),
        Some(words) => Err(Stop { status: 1, words }.into()),
    }
}

fn not_running() -> Stop {
    Stop {
        status: 1,
        words: "the agent does not run on this machine: `slapbox node register` makes it a node, \
                `systemctl status slapbox-agent.service` says more"
            .to_owned(),
    }
}

async fn plan(json: bool) -> Result<()> {
    must_be_root()?;
    let mut command = Command::new(AGENT);
    command.args(["--log", "error", "plan"]);
    if !json {
        return pass_on(AGENT, &mut command).await;
    }
    let said = command.stderr(Stdio::inherit()).output().await;
    let said = said.with_context(|| format!("cannot run `{AGENT}`"))?;
    ended(AGENT, said.status)?;
    let text = String::from_utf8_lossy(&said.stdout);
    let actions: Vec<&str> = text.lines().filter(|line| *line != NOTHING).collect();
    output::print_json(&actions)
}

async fn log(asked: &PartitionLog) -> Result<()> {
    let mut command = Command::new("journalctl");
    command.args(units_of(asked.partition).map(|unit| format!("--unit={unit}")));
    command.arg(format!("--lines={}", asked.lines));
    if asked.follow {
        command.arg("--follow");
    }
    if asked.json {
        command.arg("--output=json");
    }
    pass_on("journalctl", &mut command).await
}

/// Patterns of the units of a partition: its programs, what makes an instance of it, its promises, its bridges.
fn units_of(partition: u16) -> [String; 4] {
    [
        format!("slappart{partition}-*.service"),
        format!("slapinstantiate-slappart{partition}.service"),
        format!("slappromises-slappart{partition}.service"),
        format!("slapbridge-slappart{partition}-*"),
    ]
}

fn must_be_root() -> Result<(), Stop> {
    if nix::unistd::geteuid().is_root() {
        Ok(())
    } else {
        Err(not_root())
    }
}

/// Runs a program in place of this one: what it says is the answer, how it ends is our exit status.
async fn pass_on(name: &str, command: &mut Command) -> Result<()> {
    let status = command.status().await;
    ended(
        name,
        status.with_context(|| format!("cannot run `{name}`"))?,
    )
}

fn ended(name: &str, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    bail!("`{name}` ended with {status}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_a_partition_is_not_that_of_another_with_a_longer_number() {
        assert_eq!(
            units_of(1),
            [
                "slappart1-*.service",
                "slapinstantiate-slappart1.service",
                "slappromises-slappart1.service",
                "slapbridge-slappart1-*"
            ]
        );
    }
}
