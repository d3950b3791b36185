//! `slapbox project …`

use anyhow::{Context as _, Result};
use serde_json::json;
use slap::client::Client;
use slap::v1::Role;
use slap::{ProjectName, UserName};

use crate::arguments::ProjectCommand;
use crate::{output, tables};

pub(super) async fn run(client: &Client, command: ProjectCommand) -> Result<()> {
    match command {
        ProjectCommand::List { json } => {
            let projects = client.projects().await.context("cannot list projects")?;
            if json {
                output::print_json(&projects.projects)
            } else {
                output::print(&tables::people::projects(&projects))
            }
        }
        ProjectCommand::Create { name, json } => {
            let project = client
                .create_project(&name)
                .await
                .with_context(|| format!("cannot make the project `{name}`"))?;
            output::print_done(json, &project)
        }
        ProjectCommand::Delete { name, json } => {
            client
                .delete_project(&name)
                .await
                .with_context(|| format!("cannot remove the project `{name}`"))?;
            output::print_done(json, &json!({ "project": name, "removed": true }))
        }
        ProjectCommand::Add {
            project,
            user,
            role,
            json,
        } => set_role(client, &project, &user, Some(role), json)
            .await
            .with_context(|| format!("cannot make `{user}` a {role} of `{project}`")),
        ProjectCommand::Remove {
            project,
            user,
            json,
        } => set_role(client, &project, &user, None, json)
            .await
            .with_context(|| format!("cannot take the role of `{user}` in `{project}`")),
    }
}

async fn set_role(
    client: &Client,
    project: &ProjectName,
    user: &UserName,
    role: Option<Role>,
    json: bool,
) -> Result<()> {
    client.set_role(project, user, role).await?;
    let told = json!({ "project": project, "user": user, "role": role });
    output::print_done(json, &told)
}
