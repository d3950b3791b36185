//! Which names there are: those of nodes and partitions, and those of their addresses. Pure.
//!
//! A partition's name leads where the address plan has it, whether anybody is there or not: what a node runs is its own to know.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use hickory_proto::ProtoError;
use hickory_proto::rr::rdata::{AAAA, NS, PTR, SOA};
use hickory_proto::rr::{Name, RData};
use ipnet::{IpNet, Ipv6Net};
use slapbox_overlay::partitions::{MAX_PARTITIONS, network_of};

use crate::domain::is_label;
use crate::node::document::Document;
use crate::node::policy;
use crate::reference::Reference;

/// For how long an answer is good, in seconds: also that there is none.
pub(super) const TTL: u32 = 60;

/// All names of a network.
#[derive(Debug)]
pub(super) struct Zone {
    domain: Name,
    reverse: Name,
    /// The node that answers.
    own: Name,
    serial: u32,
    /// The prefixes of nodes by their names, and the other way round.
    prefixes: BTreeMap<String, Ipv6Net>,
    nodes: BTreeMap<Ipv6Addr, String>,
}

/// What there is at a name.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// It is not in the zone.
    Elsewhere,
    /// There is no such name in the part of the zone that begins there.
    Nothing(Name),
    /// All there is at that name, in the part of the zone that begins there; it may be nothing.
    Records(Name, Vec<RData>),
}

impl Zone {
    /// Returns the names of a network, as one of its members knows it.
    pub(super) fn new(document: &Document) -> Result<Self, ProtoError> {
        let joined = &document.joined;
        let domain = Name::from_ascii(format!("{}.", joined.view.domain))?;
        let peers = joined.view.peers.iter();
        let others = peers.map(|peer| (&peer.reference, peer.prefix));
        let all = [(&document.facts.reference, joined.prefix)];
        let mut prefixes = BTreeMap::new();
        for (reference, prefix) in all.into_iter().chain(others) {
            if let Some(label) = label_of(reference) {
                prefixes.entry(label).or_insert(prefix);
            }
        }
        let node = |(label, prefix): (&String, &Ipv6Net)| (prefix.network(), label.clone());
        let own = label_of(&document.facts.reference).unwrap_or_else(|| "ns".to_owned());
        Ok(Self {
            own: domain.prepend_label(own)?,
            reverse: reverse_of(joined.network)?,
            domain,
            #[expect(clippy::cast_possible_truncation, reason = "serial numbers turn over")]
            serial: joined.view.version as u32,
            nodes: prefixes.iter().map(node).collect(),
            prefixes,
        })
    }

    /// Returns what there is at a name.
    pub(super) fn find(&self, name: &Name) -> Found {
        let (apex, found) = if self.domain.zone_of(name) {
            (&self.domain, self.forward(name))
        } else if self.reverse.zone_of(name) {
            (&self.reverse, self.backward(name))
        } else {
            return Found::Elsewhere;
        };
        if name == apex {
            let records = vec![
                RData::SOA(self.authority()),
                RData::NS(NS(self.own.clone())),
            ];
            return Found::Records(apex.clone(), records);
        }
        match found {
            Some(records) => Found::Records(apex.clone(), records),
            None => Found::Nothing(apex.clone()),
        }
    }

    /// Returns who answers for the zone, and for how long a name that is not there is not.
    pub(super) fn authority(&self) -> SOA {
        let hostmaster = self.domain.prepend_label("hostmaster");
        let hostmaster = hostmaster.unwrap_or_else(|_| self.own.clone());
        SOA::new(
            self.own.clone(),
            hostmaster,
            self.serial,
            3600,
            600,
            86_400,
            TTL,
        )
    }

    /// Returns the address of a node or of a partition.
    fn forward(&self, name: &Name) -> Option<Vec<RData>> {
        let before = usize::from(name.num_labels() - self.domain.num_labels());
        let labels = name.iter().take(before);
        let labels: Option<Vec<String>> = labels.map(small).collect();
        let address = match labels?.as_slice() {
            [node] => policy::address(*self.prefixes.get(node)?),
            [partition, node] => {
                let prefix = *self.prefixes.get(node)?;
                network_of(prefix, index_of(partition)?, 0).ipv6
            }
            _ => return None,
        };
        Some(vec![RData::AAAA(AAAA(address))])
    }

    /// Returns the name of an address; nothing but that it is there if a name only leads to some that have one.
    fn backward(&self, name: &Name) -> Option<Vec<RData>> {
        let Ok(IpNet::V6(addresses)) = name.parse_arpa_name() else {
            return None;
        };
        let (first, last) = (addresses.network(), addresses.broadcast());
        let (prefix, node) = self.nodes.range(..=last).next_back()?;
        if first <= *prefix && first != last {
            return Some(Vec::new());
        }
        let number = |address: Ipv6Addr| u128::from(address) - u128::from(*prefix);
        if number(last) == 0 || number(first) > u128::from(MAX_PARTITIONS) + 1 {
            return None;
        }
        if first != last {
            return Some(Vec::new());
        }
        let node = self.domain.prepend_label(node.as_str()).ok()?;
        let name = match number(first) {
            1 => node,
            partition => node
                .prepend_label(format!("slappart{}", partition - 2))
                .ok()?,
        };
        Some(vec![RData::PTR(PTR(name))])
    }

    /// Returns the domains of which resolvers shall ask here.
    pub(super) fn domains(&self) -> [String; 2] {
        [&self.domain, &self.reverse].map(|name| name.to_ascii().trim_end_matches('.').to_owned())
    }
}

/// Returns how a node is called; nothing if its reference cannot be between two dots.
pub(super) fn label_of(reference: &Reference) -> Option<String> {
    let label = reference.as_str().to_ascii_lowercase();
    is_label(&label).then_some(label)
}

fn small(label: &[u8]) -> Option<String> {
    let label = std::str::from_utf8(label).ok()?;
    Some(label.to_ascii_lowercase())
}

/// Returns which partition is called so: `slappart7`, and not `slappart07`.
fn index_of(partition: &str) -> Option<u16> {
    let index: u16 = partition.strip_prefix("slappart")?.parse().ok()?;
    let is_plain = partition == format!("slappart{index}");
    (is_plain && index < MAX_PARTITIONS).then_some(index)
}

/// Returns where the names of a network's addresses begin: at the last whole digit of its prefix.
fn reverse_of(network: Ipv6Net) -> Result<Name, ProtoError> {
    let digits = usize::from(network.prefix_len() / 4);
    let all = Name::from(network.network());
    Ok(all.trim_to(digits + 2))
}

#[cfg(test)]
mod tests;
