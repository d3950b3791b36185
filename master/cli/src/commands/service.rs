//! `slapbox service …`

use anyhow::{Context as _, Result};
use slap::Title;
use slap::client::{CallError, Client};
use slap::v1::Service;

use crate::arguments::ServiceCommand;
use crate::failure::NotReady;
use crate::{output, tables};

pub(super) async fn run(client: Client, command: ServiceCommand) -> Result<()> {
    match command {
        ServiceCommand::List { json } => {
            let services = client.services().await.context("cannot list services")?;
            if json {
                output::print_json(&services.services)
            } else {
                output::print(&tables::services(&services))
            }
        }
        ServiceCommand::Info { title, news, json } => {
            let service = find(&client, &title).await?;
            if json {
                output::print_json(&service)
            } else {
                output::print(&tables::service(&service, news))
            }
        }
        ServiceCommand::Forward {
            title,
            listen,
            port,
            json,
        } => {
            let service = find(&client, &title).await?;
            if service.partition.is_none() {
                return Err(NotReady(format!(
                    "`{title}` has no partition yet: {}",
                    service.status
                ))
                .into());
            }
            super::forward::forward(client, title, listen, port, json).await
        }
    }
}

async fn find(client: &Client, title: &Title) -> Result<Service> {
    match client.service(title).await {
        Err(CallError::NotFound(_)) => Err(NotReady(format!(
            "there is no service `{title}`: `slapbox service list` shows those there are"
        ))
        .into()),
        answer => answer.with_context(|| format!("cannot ask for `{title}`")),
    }
}
