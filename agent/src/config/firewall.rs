//! The part of the document about who may reach routed addresses of partitions.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;

use super::mistake::Mistake;

/// That routed addresses are reached by their instance's tree only, unless the requester says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Who reaches all of them.
    pub authorized_sources: BTreeSet<IpNet>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    #[serde(default)]
    authorized_sources: Vec<Spanned<String>>,
}

pub(super) fn check(text: &str, table: Option<Table>) -> Result<Option<Firewall>, Mistake> {
    let Some(table) = table else {
        return Ok(None);
    };
    let source = |value: &Spanned<String>| {
        let word = value.get_ref();
        let net = word.parse().map(|net: IpNet| net.trunc());
        let net = net.or_else(|_| word.parse::<IpAddr>().map(IpNet::from));
        net.map_err(|_| {
            let problem = "this is neither an address nor a network";
            let remedy = "write for example \"192.0.2.7\" or \"2001:db8::/32\"";
            Mistake::at(text, value.span().start, problem, remedy)
        })
    };
    let sources = table.authorized_sources.iter().map(source);
    Ok(Some(Firewall {
        authorized_sources: sources.collect::<Result<_, _>>()?,
    }))
}
