//! `slapbox token …`

use anyhow::{Context as _, Result};
use serde_json::json;
use slap::client::Client;
use slap::v1::{TokenKind, TokenRequest};

use crate::arguments::TokenCommand;
use crate::assignment::by_key;
use crate::{output, tables};

pub(super) async fn run(client: &Client, command: TokenCommand, now: i64) -> Result<()> {
    match command {
        TokenCommand::Create {
            lifetime,
            uses,
            no_auto_approve,
            project,
            labels,
            serial,
            json,
        } => {
            let request = TokenRequest {
                kind: TokenKind::Node,
                lifetime_seconds: lifetime.as_secs(),
                uses,
                auto_approve: !no_auto_approve,
                labels: by_key(labels)?,
                expected_serial: serial,
                project,
                ..TokenRequest::default()
            };
            create(client, &request, json).await
        }
        TokenCommand::List { json } => {
            let tokens = client.tokens().await.context("cannot list tokens")?;
            if json {
                output::print_json(&tokens.tokens)
            } else {
                output::print(&tables::tokens(&tokens, now))
            }
        }
        TokenCommand::Revoke { id, json } => {
            client
                .revoke_token(&id)
                .await
                .with_context(|| format!("cannot revoke the token `{id}`"))?;
            if json {
                output::print_json(&json!({ "id": id, "revoked": true }))
            } else {
                Ok(())
            }
        }
    }
}

/// Makes a token and prints the line that joins with it.
pub(super) async fn create(client: &Client, request: &TokenRequest, json: bool) -> Result<()> {
    let token = client
        .create_token(request)
        .await
        .context("cannot make a token")?;
    if json {
        output::print_json(&token)
    } else {
        output::print(&token.join.0)
    }
}
