//! `slapbox revoke`: whoever is meant, by the one name that they have.

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use slap::ComputerId;
use slap::client::{CallError, Client};

use crate::output;

/// Shuts out the computer or the user, or takes back the token, that is called so.
pub(super) async fn run(client: &Client, who: &str, json: bool) -> Result<()> {
    let context = || format!("cannot revoke `{who}`");
    let computer = match who.parse::<ComputerId>() {
        Ok(computer) => is_there(client.computer_status(&computer).await).with_context(context)?,
        Err(_) => None,
    };
    let users = client.users().await.with_context(context)?.users;
    let user = users.into_iter().find(|it| it.name.as_str() == who);
    let tokens = client.tokens().await.with_context(context)?.tokens;
    let token = tokens.into_iter().find(|it| it.id == who);
    match (computer, user, token) {
        (Some(computer), None, None) => client.revoke_computer(&computer.reference).await,
        (None, Some(user), None) => client.revoke_user(&user.name).await,
        (None, None, Some(token)) => client.revoke_token(&token.id).await,
        (None, None, None) => bail!("there is no computer, no user and no token `{who}`"),
        _ => bail!(
            "`{who}` is the name of more than one: say `slapbox computer revoke`, `slapbox user revoke` or `slapbox token revoke`"
        ),
    }
    .with_context(context)?;
    output::print_done(json, &json!({ "revoked": who }))
}

fn is_there<T>(answer: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match answer {
        Ok(there) => Ok(Some(there)),
        Err(CallError::NotFound(_) | CallError::Forbidden(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
