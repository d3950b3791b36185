//! `slapbox computer …`

use anyhow::{Context as _, Result};
use serde_json::json;
use slap::client::{CallError, Client};
use slap::v1::TokenRequest;

use crate::arguments::{ComputerCommand, Decision};
use crate::failure::NotReady;
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
            let shown = match client.computer_status(&computer).await {
                Err(CallError::NotFound(_)) => {
                    return Err(NotReady(format!(
                        "there is no computer `{computer}`: `slapbox computer list` shows those there are"
                    ))
                    .into());
                }
                answer => answer.with_context(|| format!("cannot show {computer}"))?,
            };
            if json {
                output::print_json(&shown)
            } else {
                output::print(&tables::computer(&shown, now))
            }
        }
        ComputerCommand::Token { json } => {
            super::token::create(client, &TokenRequest::default(), json).await
        }
        ComputerCommand::Approve(decision) => approve(client, decision).await,
        ComputerCommand::Revoke(Decision { computer, json }) => {
            client
                .revoke_computer(&computer)
                .await
                .with_context(|| format!("cannot revoke {computer}"))?;
            output::print_done(json, &json!({ "computer": computer, "revoked": true }))
        }
        ComputerCommand::Trust(decision) => trust(client, decision, true).await,
        ComputerCommand::Distrust(decision) => trust(client, decision, false).await,
        ComputerCommand::Move {
            computer,
            project,
            json,
        } => {
            client
                .move_computer(&computer, &project)
                .await
                .with_context(|| format!("cannot move {computer} to `{project}`"))?;
            output::print_done(json, &json!({ "computer": computer, "project": project }))
        }
    }
}

/// Says whether what a computer builds is taken by others.
async fn trust(client: &Client, decision: Decision, trusted: bool) -> Result<()> {
    let Decision { computer, json } = decision;
    client
        .set_trusted(&computer, trusted)
        .await
        .with_context(|| format!("cannot change who takes what {computer} builds"))?;
    output::print_done(json, &json!({ "computer": computer, "trusted": trusted }))
}

/// Lets a computer in.
pub(super) async fn approve(client: &Client, decision: Decision) -> Result<()> {
    let Decision { computer, json } = decision;
    client
        .approve_computer(&computer)
        .await
        .with_context(|| format!("cannot approve {computer}"))?;
    output::print_done(json, &json!({ "computer": computer, "approved": true }))
}
