//! `slapbox user …`

use anyhow::{Context as _, Result};
use serde_json::json;
use slap::UserName;
use slap::client::Client;
use slap::v1::TokenRequest;

use crate::arguments::UserCommand;
use crate::{output, tables};

pub(super) async fn run(client: &Client, command: UserCommand) -> Result<()> {
    match command {
        UserCommand::List { json } => {
            let users = client.users().await.context("cannot list users")?;
            if json {
                output::print_json(&users.users)
            } else {
                output::print(&tables::people::users(&users))
            }
        }
        UserCommand::Invite {
            name,
            kind,
            project,
            role,
            lifetime,
            json,
        } => {
            let words = format!("cannot invite `{name}`");
            let request = TokenRequest {
                kind: kind.into(),
                lifetime_seconds: lifetime.as_secs(),
                name: Some(name),
                project,
                role,
                ..TokenRequest::default()
            };
            let token = client.create_token(&request).await.context(words)?;
            if json {
                output::print_json(&token)
            } else {
                output::print(&format!("slapbox login {}", token.join.0))
            }
        }
        UserCommand::Revoke { name, json } => {
            client
                .revoke_user(&name)
                .await
                .with_context(|| format!("cannot revoke `{name}`"))?;
            output::print_done(json, &json!({ "user": name, "revoked": true }))
        }
        UserCommand::Join {
            person,
            organisation,
            json,
        } => affiliate(client, &person, &organisation, true, json)
            .await
            .with_context(|| format!("cannot have `{person}` join `{organisation}`")),
        UserCommand::Part {
            person,
            organisation,
            json,
        } => affiliate(client, &person, &organisation, false, json)
            .await
            .with_context(|| format!("cannot have `{person}` part from `{organisation}`")),
    }
}

async fn affiliate(
    client: &Client,
    person: &UserName,
    organisation: &UserName,
    belongs: bool,
    json: bool,
) -> Result<()> {
    client
        .set_affiliation(organisation, person, belongs)
        .await?;
    let told = json!({ "person": person, "organisation": organisation, "belongs": belongs });
    output::print_done(json, &told)
}
