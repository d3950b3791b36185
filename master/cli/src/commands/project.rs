//! `slapbox project …`

use anyhow::{Context as _, Result};
use slap::client::Client;

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
        ProjectCommand::Create { name } => client
            .create_project(&name)
            .await
            .map(drop)
            .with_context(|| format!("cannot make the project `{name}`")),
        ProjectCommand::Delete { name } => client
            .delete_project(&name)
            .await
            .with_context(|| format!("cannot remove the project `{name}`")),
        ProjectCommand::Add {
            project,
            user,
            role,
        } => client
            .set_role(&project, &user, Some(role))
            .await
            .with_context(|| format!("cannot make `{user}` a {role} of `{project}`")),
        ProjectCommand::Remove { project, user } => client
            .set_role(&project, &user, None)
            .await
            .with_context(|| format!("cannot take the role of `{user}` in `{project}`")),
    }
}
