//! `slapbox supply` and `slapbox remove`.

use anyhow::{Context as _, Result};
use serde_json::json;
use slap::SupplyState;
use slap::client::Client;
use slap::forms::SupplyForm;

use crate::arguments::Supply;
use crate::output;
use crate::product::resolve;

pub(super) async fn supply(client: &Client, what: Supply) -> Result<()> {
    let words = format!("cannot supply `{}` to {}", what.url, what.computer);
    send(client, what, SupplyState::Available)
        .await
        .context(words)
}

pub(super) async fn remove(client: &Client, what: Supply) -> Result<()> {
    let words = format!("cannot remove `{}` from {}", what.url, what.computer);
    send(client, what, SupplyState::Destroyed)
        .await
        .context(words)
}

async fn send(client: &Client, what: Supply, state: SupplyState) -> Result<()> {
    let form = SupplyForm {
        url: resolve(client, what.url).await?,
        computer: what.computer,
        state,
    };
    client.supply(&form).await?;
    if !what.json {
        return Ok(());
    }
    output::print_json(&json!({
        "url": form.url,
        "computer": form.computer,
        "requested_state": form.state.to_string(),
    }))
}
