//! `slapbox request`.

use anyhow::{Context as _, Result};
use slap::client::{CallError, Client};
use slap::{RequestForm, RequestedState};

use crate::arguments::Request;
use crate::assignment::by_key;
use crate::product::resolve;
use crate::{output, parameters, tables};

pub(super) async fn run(client: &Client, request: Request) -> Result<()> {
    let parameters = match &request.parameters_file {
        Some(file) => {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("cannot read `{file}`"))?;
            parameters::read(file, &text, request.force_serialisation)
                .with_context(|| format!("cannot use `{file}`"))?
        }
        None => by_key(request.parameters)?,
    };
    let form = RequestForm {
        requester: None,
        software_url: resolve(client, request.url).await?,
        software_type: request.software_type,
        title: request.title,
        shared: request.slave,
        parameters,
        filter: by_key(request.node)?,
        state: request.state,
        project: request.project,
    };
    let instance = match client.request(&form).await {
        // A master may have nothing to show of what shall not be there.
        Err(CallError::NotReady(_)) if form.state == Some(RequestedState::Destroyed) => {
            return Ok(());
        }
        answer => answer.with_context(|| format!("requested `{}`", form.title))?,
    };
    if request.json {
        output::print_json(&instance.to_value().to_json())
    } else {
        output::print(&tables::instance(form.title.as_str(), &instance))
    }
}
