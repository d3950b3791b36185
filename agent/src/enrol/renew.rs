//! The next certificate: asked for with the one before, for the same key.

use anyhow::ensure;

use crate::identity::{self, Identity};
use crate::master::{self, Master};

/// Asks the master for the next certificate. Keeps nothing.
pub async fn renew(master: &Master, identity: &Identity) -> anyhow::Result<Identity> {
    let request = identity.key.request()?;
    let request = request.as_str();
    let reply = master
        .call(|client| async move { client.renew(request).await })
        .await
        .map_err(|error| anyhow::anyhow!(master::reason(&error)))?;
    let renewed = identity::assemble(
        identity.key.clone(),
        reply.certificate,
        reply.ca,
        identity.master.clone(),
    )?;
    ensure!(
        renewed.pins.iter().any(|it| identity.pins.contains(it)),
        "the master gave another CA than its own"
    );
    Ok(renewed)
}
