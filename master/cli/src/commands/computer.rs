//! `slapbox computer …`

use anyhow::{Context as _, Result};
use slap::client::Client;

use crate::arguments::ComputerCommand;
use crate::{output, tables};

pub(super) async fn run(client: &Client, command: ComputerCommand, now: i64) -> Result<()> {
    match command {
        ComputerCommand::List { json } => {
            let computers = client.computers().await.context("cannot list computers")?;
            if json {
                output::print_json(&computers.computers)
            } else {
                output::print(&tables::computers(&computers, now))
            }
        }
        ComputerCommand::Info { computer, json } => {
            let shown = client
                .computer_status(&computer)
                .await
                .with_context(|| format!("cannot show {computer}"))?;
            if json {
                output::print_json(&shown)
            } else {
                output::print(&tables::computer(&shown, now))
            }
        }
        ComputerCommand::Approve { computer } => client
            .approve_computer(&computer)
            .await
            .with_context(|| format!("cannot approve {computer}")),
        ComputerCommand::Revoke { computer } => client
            .revoke_computer(&computer)
            .await
            .with_context(|| format!("cannot revoke {computer}")),
        ComputerCommand::Move { computer, project } => client
            .move_computer(&computer, &project)
            .await
            .with_context(|| format!("cannot move {computer} to `{project}`")),
    }
}
