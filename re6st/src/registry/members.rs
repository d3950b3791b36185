//! Who is a member, and what changed of that since a member last asked.
//!
//! Pure: no file, no clock. A refused join changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv6Addr, SocketAddr};

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use slapbox_overlay::keys::PublicKey;

use super::prefixes;
use crate::domain::Domain;
use crate::reference::Reference;
use crate::wire::{JoinRequest, Map, MapNode, Peer, View};

/// Why a computer may not join, or is not known.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// No prefix is free.
    #[error("the network {0} is full: every prefix is taken")]
    Full(Ipv6Net),
    /// No prefix is free where the computer belongs.
    #[error("the region `{0}`, which has {1}, is full: every prefix is taken")]
    RegionFull(String, Ipv6Net),
    /// Two computers with one key could not be told apart.
    #[error("the WireGuard key belongs to another computer")]
    KeyTaken,
    /// The endpoint is not `host:port`.
    #[error("the endpoint `{0}` is not host:port")]
    Endpoint(String),
    /// A machine has fewer addresses than that.
    #[error("{0} addresses are more than the {MOST_ADDRESSES} that a computer may tell")]
    Addresses(usize),
    /// Nothing listens on port 0.
    #[error("the port is 0")]
    Port,
    /// It never joined, or was released.
    #[error("the computer is not a member")]
    Unknown,
}

/// Why a computer's datagrams cannot be handed to the registry's own.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum NoHost {
    /// It never joined, or was released.
    #[error("the computer is not a member")]
    Stranger,
    /// It is the registry's own.
    #[error("the registry is on this computer itself, whose datagrams need no carrier")]
    Itself,
    /// The registry's own is no member.
    #[error("the computer that the registry is on has not joined the network")]
    Absent,
}

/// What a computer says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    wireguard_public_key: PublicKey,
    port: u16,
    endpoint: Option<String>,
    #[serde(default)]
    addresses: Vec<SocketAddr>,
}

/// How many addresses a computer may tell.
const MOST_ADDRESSES: usize = 16;
/// How many of those who went are remembered for who asks what changed; who was away for longer hears everything anew.
const MOST_GONE: usize = 1024;

impl TryFrom<&JoinRequest> for Facts {
    type Error = Refusal;

    fn try_from(request: &JoinRequest) -> Result<Self, Refusal> {
        if request.port == 0 {
            return Err(Refusal::Port);
        }
        if let Some(endpoint) = request
            .endpoint
            .as_ref()
            .filter(|endpoint| !is_endpoint(endpoint))
        {
            return Err(Refusal::Endpoint(endpoint.clone()));
        }
        if request.addresses.len() > MOST_ADDRESSES {
            return Err(Refusal::Addresses(request.addresses.len()));
        }
        Ok(Self {
            wireguard_public_key: request.wireguard_public_key,
            port: request.port,
            endpoint: request.endpoint.clone(),
            addresses: request.addresses.clone(),
        })
    }
}

fn is_endpoint(text: &str) -> bool {
    text.len() <= 260
        && text.rsplit_once(':').is_some_and(|(host, port)| {
            let bracketed = host.starts_with('[') && host.ends_with(']');
            let plain = !host.is_empty()
                && !host.contains(|c: char| c == ':' || c.is_whitespace() || c.is_control());
            (bracketed || plain) && port.parse::<u16>().is_ok_and(|port| port > 0)
        })
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Member {
    /// Its own in the network as long as it is a member.
    number: u32,
    prefix: Ipv6Net,
    /// The version with which it became what it is.
    version: u64,
    #[serde(flatten)]
    facts: Facts,
}

/// Where a member is in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) prefix: Ipv6Net,
    pub(super) link_address: Ipv6Addr,
}

/// The members of one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Members {
    pub(super) network: Ipv6Net,
    /// Moves at every change.
    pub(super) version: u64,
    host: Option<Reference>,
    /// With what names end.
    #[serde(default)]
    domain: Domain,
    /// The numbers of those who went, and with which version; of whom was forgotten the last went with `forgotten`.
    #[serde(default)]
    gone: BTreeMap<u32, u64>,
    #[serde(default)]
    forgotten: u64,
    /// Which part of the network is a region's.
    #[serde(default)]
    regions: BTreeMap<String, Ipv6Net>,
    members: BTreeMap<Reference, Member>,
}

impl Members {
    /// Returns a network without members.
    pub(super) fn new(network: Ipv6Net) -> Self {
        Self {
            network,
            version: 1,
            host: None,
            domain: Domain::default(),
            gone: BTreeMap::new(),
            forgotten: 0,
            regions: BTreeMap::new(),
            members: BTreeMap::new(),
        }
    }

    /// Notes on whose machine the registry is, whether it joined or not.
    pub(super) fn set_host(&mut self, host: Reference) {
        if self.host.as_ref() != Some(&host) {
            self.host = Some(host);
            self.version += 1;
            self.forget_all();
        }
    }

    /// Notes with what names end.
    pub(super) fn set_domain(&mut self, domain: Domain) {
        if self.domain != domain {
            self.domain = domain;
            self.version += 1;
        }
    }

    /// Gives regions parts of the network, from which their computers get their prefixes from now on.
    pub(super) fn set_regions(&mut self, regions: BTreeMap<String, Ipv6Net>) {
        self.regions = regions;
    }

    /// Takes a computer in, or what it says of itself anew; who is a member keeps their prefix, wherever they are by now. The
    /// registry is where the first one is, unless it is told otherwise.
    pub(super) fn join(
        &mut self,
        computer: &Reference,
        facts: Facts,
        region: Option<&str>,
    ) -> Result<(), Refusal> {
        let same_key = |(name, member): (&Reference, &Member)| {
            name != computer && member.facts.wireguard_public_key == facts.wireguard_public_key
        };
        if self.members.iter().any(same_key) {
            return Err(Refusal::KeyTaken);
        }
        let known = self.members.get(computer);
        if known.is_some_and(|member| member.facts == facts) {
            return Ok(());
        }
        let (number, prefix) = match known {
            Some(member) => (member.number, member.prefix),
            None => (self.free_number(), self.free_prefix(region)?),
        };
        self.version += 1;
        let member = Member {
            number,
            prefix,
            version: self.version,
            facts,
        };
        self.gone.remove(&number);
        self.members.insert(computer.clone(), member);
        self.host.get_or_insert_with(|| computer.clone());
        Ok(())
    }

    /// Puts a computer out and frees its prefix; where the registry is stays known, for its computer may come back.
    pub(super) fn release(&mut self, computer: &Reference) {
        let Some(member) = self.members.remove(computer) else {
            return;
        };
        self.version += 1;
        self.gone.insert(member.number, self.version);
        if self.gone.len() > MOST_GONE {
            self.forget_all();
        }
    }

    fn forget_all(&mut self) {
        self.gone.clear();
        self.forgotten = self.version;
    }

    /// Returns where a member is.
    pub(super) fn place_of(&self, computer: &Reference) -> Option<Place> {
        let member = self.members.get(computer)?;
        Some(Place {
            prefix: member.prefix,
            link_address: prefixes::link_address(self.network, member.number),
        })
    }

    /// Returns the UDP port of the member on whose machine the registry is, for another member.
    pub(super) fn port_beside(&self, computer: &Reference) -> Result<u16, NoHost> {
        if !self.members.contains_key(computer) {
            return Err(NoHost::Stranger);
        }
        match &self.host {
            Some(host) if host == computer => Err(NoHost::Itself),
            Some(host) => match self.members.get(host) {
                Some(member) => Ok(member.facts.port),
                None => Err(NoHost::Absent),
            },
            None => Err(NoHost::Absent),
        }
    }

    /// Returns who else is a member, or what changed of that since a version, where that is still known.
    pub(super) fn view(&self, computer: &Reference, since: u64) -> Option<View> {
        self.members.get(computer)?;
        let since = if (self.forgotten..=self.version).contains(&since) {
            since
        } else {
            0
        };
        let is_new = |name: &Reference, member: &Member| name != computer && member.version > since;
        let members = self.members.iter();
        let mut peers: Vec<Peer> = members
            .filter(|(name, member)| is_new(name, member))
            .map(|(name, member)| self.peer(name, member))
            .collect();
        peers.sort_unstable_by_key(Peer::number);
        let gone = self.gone.iter().filter(|(_, version)| **version > since);
        Some(View {
            version: self.version,
            since,
            host: self.host.clone(),
            domain: self.domain.clone(),
            peers,
            gone: match since {
                0 => Vec::new(),
                _ => gone.map(|(number, _)| *number).collect(),
            },
        })
    }

    /// Returns the members, of whom nothing else is known here.
    pub(super) fn map(&self) -> Map {
        let node = |(name, member): (&Reference, &Member)| MapNode {
            reference: name.clone(),
            prefix: member.prefix,
            is_alive: false,
            silent_seconds: None,
        };
        Map {
            network: self.network,
            nodes: self.members.iter().map(node).collect(),
            links: Vec::new(),
        }
    }

    fn peer(&self, name: &Reference, member: &Member) -> Peer {
        Peer {
            reference: name.clone(),
            wireguard_public_key: member.facts.wireguard_public_key,
            endpoint: member.facts.endpoint.clone(),
            port: member.facts.port,
            addresses: member.facts.addresses.clone(),
            link_address: prefixes::link_address(self.network, member.number),
            prefix: member.prefix,
        }
    }

    fn free_number(&self) -> u32 {
        let taken: BTreeSet<_> = self.members.values().map(|member| member.number).collect();
        let mut numbers = 1..;
        numbers
            .find(|number| !taken.contains(number))
            .expect("there are more numbers than prefixes")
    }

    /// Returns a prefix of the region, or of what is no region's.
    fn free_prefix(&self, region: Option<&str>) -> Result<Ipv6Net, Refusal> {
        let members = self.members.values().map(|member| member.prefix);
        let mut taken: BTreeSet<_> = members.chain([prefixes::of_links(self.network)]).collect();
        let part = region.and_then(|region| self.regions.get_key_value(region));
        if let Some((region, part)) = part {
            let free = prefixes::free_prefix(*part, &taken);
            return free.ok_or_else(|| Refusal::RegionFull(region.clone(), *part));
        }
        taken.extend(self.regions.values());
        prefixes::free_prefix(self.network, &taken).ok_or(Refusal::Full(self.network))
    }
}

#[cfg(test)]
mod tests;
