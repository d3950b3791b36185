//! `slapbox supply` and `slapbox remove`.

use anyhow::{Context as _, Result};
use slap::client::Client;
use slap::forms::SupplyForm;
use slap::{ComputerId, SupplyState};

pub(super) async fn supply(client: &Client, url: String, computer: ComputerId) -> Result<()> {
    let words = format!("cannot supply `{url}` to {computer}");
    let form = SupplyForm {
        url,
        computer,
        state: SupplyState::Available,
    };
    client.supply(&form).await.context(words)
}

pub(super) async fn remove(client: &Client, url: String, computer: ComputerId) -> Result<()> {
    let words = format!("cannot remove `{url}` from {computer}");
    let form = SupplyForm {
        url,
        computer,
        state: SupplyState::Destroyed,
    };
    client.supply(&form).await.context(words)
}
