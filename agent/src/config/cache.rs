//! The part of the document about the cache of built releases: where it is, whose builds are taken, whether this box offers its own.

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use toml::Spanned;

use super::mistake::Mistake;
use crate::master::is_trusted_way;
use crate::software::PublicKey;

/// What the document says about the cache.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cache {
    /// A static server that has it; the master, if none is named.
    pub url: Option<String>,
    /// Whose builds are taken, besides theirs whom the master names.
    pub keys: Vec<PublicKey>,
    /// Whether the master gets what this box builds.
    pub offer: bool,
    /// The folder that gets it, too, for a static server.
    pub folder: Option<Utf8PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    url: Option<Spanned<String>>,
    keys: Option<Vec<Spanned<String>>>,
    offer: Option<bool>,
    folder: Option<Spanned<String>>,
}

/// Where a box may write.
const WRITABLE: [&str; 2] = ["/srv", "/var"];

pub(super) fn check(text: &str, table: Table) -> Result<Cache, Mistake> {
    let keys = table.keys.unwrap_or_default();
    Ok(Cache {
        url: table.url.map(|url| url_of(text, &url)).transpose()?,
        keys: keys
            .iter()
            .map(|key| key_of(text, key))
            .collect::<Result<_, _>>()?,
        offer: table.offer.unwrap_or(false),
        folder: table
            .folder
            .map(|folder| folder_of(text, &folder))
            .transpose()?,
    })
}

fn url_of(text: &str, url: &Spanned<String>) -> Result<String, Mistake> {
    let parsed = reqwest::Url::parse(url.get_ref()).ok();
    let good = |url: &reqwest::Url| {
        is_trusted_way(url) && url.has_host() && url.query().is_none() && url.fragment().is_none()
    };
    match parsed.filter(good) {
        Some(url) => Ok(url.as_str().trim_end_matches('/').to_owned()),
        None => Err(Mistake::at(
            text,
            url.span().start,
            "the cache is not the https:// URL of a folder",
            "write for example \"https://files.example/slapbox\", or leave it out for the master's",
        )),
    }
}

fn key_of(text: &str, key: &Spanned<String>) -> Result<PublicKey, Mistake> {
    PublicKey::parse(key.get_ref()).map_err(|_| {
        Mistake::at(
            text,
            key.span().start,
            "the key of the cache is no ECDSA key on P-256 in PEM",
            "write what is in the builder's `key.pub`, between \"\"\" and \"\"\"",
        )
    })
}

fn folder_of(text: &str, folder: &Spanned<String>) -> Result<Utf8PathBuf, Mistake> {
    let path = Utf8Path::new(folder.get_ref());
    let is_plain = !path.components().any(|part| part.as_str() == "..");
    let is_below = |top: &&str| path.starts_with(top) && path.as_str() != *top;
    if is_plain && WRITABLE.iter().any(is_below) {
        return Ok(path.to_owned());
    }
    Err(Mistake::at(
        text,
        folder.span().start,
        "the cache's folder is not below /srv or /var",
        "write for example \"/srv/cache\"",
    ))
}
