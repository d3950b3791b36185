//! The part of the document about a master of another make: one that speaks SLAP and nothing more, where nobody enrols.

use std::fmt;

use ipnet::Ipv6Net;
use serde::Deserialize;
use slap::ComputerId;
use slap::client::{self, Identity};
use toml::Spanned;

use super::mistake::Mistake;

/// What the document says about a master of another make.
#[derive(Clone, PartialEq, Eq)]
pub struct SlapMaster {
    /// Where it is: `https://…`, or `http://…` where the way to it is trusted.
    pub url: String,
    /// What it calls this computer.
    pub computer: ComputerId,
    /// The prefix that this computer's network gives it: /64 or shorter.
    pub prefix: Ipv6Net,
    /// Whom it knows this computer by.
    pub identity: Option<Identity>,
    /// The CA of its certificate in PEM, if not one that the system trusts.
    pub ca: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    url: Option<Spanned<String>>,
    computer: Option<Spanned<String>>,
    prefix: Option<Spanned<String>>,
    certificate: Option<Spanned<String>>,
    key: Option<Spanned<String>>,
    ca: Option<Spanned<String>>,
}

impl SlapMaster {
    /// Returns the settings of a client for it.
    pub fn client(&self) -> client::Settings {
        client::Settings::known_to(self.url.clone(), self.ca.clone(), self.identity.clone())
    }
}

impl fmt::Debug for SlapMaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlapMaster")
            .field("url", &self.url)
            .field("computer", &self.computer)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

pub(super) fn check(text: &str, table: Spanned<Table>) -> Result<SlapMaster, Mistake> {
    let start = table.span().start;
    let table = table.into_inner();
    let needed = |value: Option<Spanned<String>>, key: &str, example: &str| {
        value.ok_or_else(|| {
            Mistake::at(
                text,
                start,
                format!("the table `[slap]` has no `{key}`"),
                format!("write for example `{key} = \"{example}\"`"),
            )
        })
    };
    let url = needed(table.url, "url", "https://slap.example.com")?;
    let computer = needed(table.computer, "computer", "COMP-1234")?;
    let prefix = needed(table.prefix, "prefix", "2001:db8:1:2::/64")?;
    let master = SlapMaster {
        computer: computer_of(text, &computer)?,
        prefix: prefix_of(text, &prefix)?,
        identity: identity_of(text, table.certificate, table.key)?,
        ca: table.ca.as_ref().map(|ca| ca.get_ref().clone()),
        url: url_of(text, &url)?,
    };
    // What cannot make a client now cannot later.
    match master.client().tls() {
        Ok(_) => Ok(master),
        Err(error) => Err(Mistake::at(
            text,
            start,
            error.to_string(),
            "put each between \"\"\" and \"\"\", from its BEGIN to its END line",
        )),
    }
}

fn url_of(text: &str, url: &Spanned<String>) -> Result<String, Mistake> {
    let parsed = reqwest::Url::parse(url.get_ref()).ok();
    let good = |url: &reqwest::Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.query().is_none()
    };
    match parsed.filter(good) {
        Some(url) => Ok(url.as_str().trim_end_matches('/').to_owned()),
        None => Err(Mistake::at(
            text,
            url.span().start,
            "this is not a master's URL",
            "write for example \"https://slap.example.com\"",
        )),
    }
}

fn computer_of(text: &str, computer: &Spanned<String>) -> Result<ComputerId, Mistake> {
    computer.get_ref().parse().map_err(|_| {
        Mistake::at(
            text,
            computer.span().start,
            "this is not a computer's reference",
            "write what the master calls it, for example \"COMP-1234\"",
        )
    })
}

fn prefix_of(text: &str, prefix: &Spanned<String>) -> Result<Ipv6Net, Mistake> {
    let parsed = prefix.get_ref().parse::<Ipv6Net>().ok();
    parsed
        .filter(|net| net.prefix_len() <= 64 && net.trunc() == *net)
        .ok_or_else(|| {
            Mistake::at(
                text,
                prefix.span().start,
                "`prefix` is not an IPv6 prefix with room for partitions",
                "write for example \"2001:db8:1:2::/64\", which your network routes to this computer",
            )
        })
}

fn identity_of(
    text: &str,
    certificate: Option<Spanned<String>>,
    key: Option<Spanned<String>>,
) -> Result<Option<Identity>, Mistake> {
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(Identity {
            certificate_pem: certificate.into_inner(),
            key_pem: key.into_inner(),
        })),
        (Some(alone), None) | (None, Some(alone)) => Err(Mistake::at(
            text,
            alone.span().start,
            "`certificate` and `key` belong together",
            "write both, as `slapos node register` stored them",
        )),
    }
}
