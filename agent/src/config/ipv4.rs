//! The part of the document about IPv4 that partitions have of the network outside.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::Deserialize;
use toml::Spanned;

use super::mistake::Mistake;

/// A network of which each partition's tap has an address, as long as there are some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipv4 {
    /// The network.
    pub network: Ipv4Net,
    /// The interface that the network is at.
    pub interface: String,
    /// The node's own address there, which is the partitions' gateway.
    pub address: Ipv4Addr,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    network: Option<Spanned<String>>,
    interface: Option<Spanned<String>>,
    address: Option<Spanned<String>>,
}

/// From which partitions have addresses that are local to their node.
const LOCAL: &str = "10.0.0.0/16";
/// The kernel's limit, less the end of the text.
const LONGEST_NAME: usize = 15;

impl Ipv4 {
    /// Returns the addresses that partitions have, by their numbers: all but the network's, the last one and the node's.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        let own = self.address;
        self.network.hosts().filter(move |it| *it != own)
    }
}

pub(super) fn check(text: &str, table: Option<Spanned<Table>>) -> Result<Option<Ipv4>, Mistake> {
    let Some(table) = table else {
        return Ok(None);
    };
    let start = table.span().start;
    let Table {
        network,
        interface,
        address,
    } = table.into_inner();
    let missing = |key: &str, example: &str| {
        let problem = format!("`[ipv4]` has no `{key}`");
        Mistake::at(
            text,
            start,
            problem,
            format!("write for example `{key} = \"{example}\"`"),
        )
    };
    let network = network.ok_or_else(|| missing("network", "203.0.113.0/28"))?;
    let interface = interface.ok_or_else(|| missing("interface", "eth0"))?;
    let at = network.span().start;
    let network = network_of(text, &network)?;
    let local: Ipv4Net = LOCAL.parse().expect("a constant that is a network");
    if network.contains(&local) || local.contains(&network) {
        let problem = format!("partitions have their local addresses from {LOCAL}");
        return Err(Mistake::at(text, at, problem, "write another network"));
    }
    let fits = |name: &str| {
        (1..=LONGEST_NAME).contains(&name.len())
            && !name.starts_with('.')
            && name
                .chars()
                .all(|c| c.is_ascii_graphic() && c != '/' && c != ':')
    };
    if !fits(interface.get_ref()) {
        let (problem, remedy) = ("this is no interface's name", "write for example \"eth0\"");
        return Err(Mistake::at(text, interface.span().start, problem, remedy));
    }
    let address = match &address {
        Some(address) => address_of(text, address, network)?,
        None => network.hosts().next().unwrap_or(network.addr()),
    };
    Ok(Some(Ipv4 {
        network,
        interface: interface.into_inner(),
        address,
    }))
}

fn network_of(text: &str, network: &Spanned<String>) -> Result<Ipv4Net, Mistake> {
    let parsed = network.get_ref().parse::<Ipv4Net>().ok();
    let good = parsed.filter(|net| (8..=30).contains(&net.prefix_len()) && net.trunc() == *net);
    good.ok_or_else(|| {
        let problem = "`network` is not an IPv4 network from /8 to /30";
        let remedy = "write for example \"203.0.113.0/28\"";
        Mistake::at(text, network.span().start, problem, remedy)
    })
}

fn address_of(
    text: &str,
    address: &Spanned<String>,
    network: Ipv4Net,
) -> Result<Ipv4Addr, Mistake> {
    let parsed = address.get_ref().parse::<Ipv4Addr>().ok();
    let is_host = |it: &Ipv4Addr| {
        network.contains(it) && *it != network.network() && *it != network.broadcast()
    };
    parsed.filter(is_host).ok_or_else(|| {
        let problem = "`address` is not one of the network";
        let remedy = "write the node's own, or leave it out for the first one";
        Mistake::at(text, address.span().start, problem, remedy)
    })
}
