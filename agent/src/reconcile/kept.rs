//! What the loop keeps on disk: the last desired state and prefix, so that a box starts its services without its master.

use anyhow::Context as _;
use camino::Utf8PathBuf;
use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use crate::desired::Desired;
use crate::disk;
use crate::places::Places;

/// A kept fact with the version of its form.
#[derive(Serialize, Deserialize)]
struct Kept<T> {
    version: u32,
    #[serde(flatten)]
    fact: T,
}

#[derive(Serialize, Deserialize)]
struct Prefix {
    prefix: Ipv6Net,
}

#[derive(Serialize, Deserialize)]
struct Wanted<D> {
    desired: D,
}

const VERSION: u32 = 1;

/// The desired state of the last time that the master told it.
pub fn desired(places: &Places) -> anyhow::Result<Option<Desired>> {
    Ok(load::<Wanted<Desired>>(places.desired())?.map(|kept| kept.desired))
}

/// Keeps the desired state.
pub(super) fn keep_desired(places: &Places, desired: &Desired) -> anyhow::Result<()> {
    store(places.desired(), Wanted { desired })
}

/// The prefix of the last time.
pub(super) fn prefix(places: &Places) -> Option<Ipv6Net> {
    let kept = load::<Prefix>(places.state().join("node.json"));
    let kept = kept.inspect_err(|error| tracing::warn!("{error:#}"));
    kept.ok().flatten().map(|kept| kept.prefix)
}

/// Keeps the prefix.
pub(super) fn keep_prefix(places: &Places, prefix: Ipv6Net) -> anyhow::Result<()> {
    store(places.state().join("node.json"), Prefix { prefix })
}

/// Reads a fact. One that does not parse is set aside and told.
fn load<T: for<'de> Deserialize<'de>>(path: Utf8PathBuf) -> anyhow::Result<Option<T>> {
    let Some(json) = disk::read(&path)? else {
        return Ok(None);
    };
    match serde_json::from_slice::<Kept<T>>(&json) {
        Ok(kept) if kept.version == VERSION => Ok(Some(kept.fact)),
        Ok(kept) => {
            let aside = disk::set_aside(&path)?;
            anyhow::bail!(
                "{path} is of version {}, it is kept as {aside}",
                kept.version
            )
        }
        Err(error) => {
            let aside = disk::set_aside(&path)?;
            Err(error).with_context(|| format!("{path} cannot be read, it is kept as {aside}"))
        }
    }
}

fn store<T: Serialize>(path: Utf8PathBuf, fact: T) -> anyhow::Result<()> {
    let json = serde_json::to_vec_pretty(&Kept {
        version: VERSION,
        fact,
    })?;
    Ok(disk::replace_private(&path, &json)?)
}
