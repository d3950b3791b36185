//! What an instance's requester and its programs say about who may reach whom, in the original's forms. Pure.
//!
//! Source: slapos.core, `slapos/grid/slapgrid.py` (`_setupComputerPartitionFirewall`) and
//! `slapos/manager/whitelistfirewall.py`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::rules::{Access, Guard};
use crate::config;
use crate::desired::{Fingerprint, Instance, PartitionName};
use crate::instances::answers::Told;
use crate::instances::container::Mapping;
use crate::partitions::users::Ids;

/// Where a partition says which IPv4 addresses its programs reach, and no others.
pub const FILE: &str = ".slapos-whitelist-firewall";
/// Conditions of a request.
const RESTRICTED: &str = "fw_restricted_access";
const AUTHORIZED: &str = "fw_authorized_sources";
const REJECTED: &str = "fw_rejected_sources";

/// What is said cannot be understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WishError {
    #[error("its `{0}` names `{1}`, which is neither an address nor a network")]
    Source(&'static str, String),
    #[error("its `{RESTRICTED}` is `{0}`, which is neither `on` nor `off`")]
    Restricted(String),
    #[error("`{FILE}` is not what the original reads: a JSON list like [\"198.51.100.7\"]")]
    Form,
    #[error("`{FILE}` names `{0}`, which is no address")]
    Address(String),
}

/// What is said of one partition.
#[derive(Clone, Copy, Debug)]
pub struct Wishes<'a> {
    pub partition: PartitionName,
    pub ids: Ids,
    pub instance: &'a Instance,
    /// The text of its file, if it has one.
    pub whitelist: Option<&'a [u8]>,
    /// The IPv6 ranges whose addresses are all the partition's.
    pub ranges: &'a [IpNet],
    /// What the document says, if it wants all routed addresses protected.
    pub settings: Option<&'a config::Firewall>,
}

impl Wishes<'_> {
    /// Returns what tells these from others; nothing if nobody wants any rule.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        let instance = self.instance;
        let protected = self.protected();
        if protected.is_empty() && self.whitelist.is_none() {
            return None;
        }
        let all = (
            protected,
            &instance.firewall,
            instance.order(self.partition, &Told::new()),
            (self.ids.uid, self.whitelist),
            self.settings.map(|settings| &settings.authorized_sources),
        );
        let text = serde_json::to_vec(&all).expect("texts become JSON");
        Some(Fingerprint::of(&text))
    }

    /// Returns whether it matters where its tree is.
    pub fn asks_for_its_tree(&self) -> bool {
        !self.protected().is_empty()
    }

    /// Returns the guard that is wanted, where the partition's tree has these addresses. `users_in` says whose of this
    /// node's partitions some addresses are.
    pub fn guard(
        &self,
        tree: &[IpAddr],
        users_in: impl Fn(&BTreeSet<IpNet>) -> BTreeSet<(u32, u32)>,
    ) -> Result<Option<Guard>, WishError> {
        let Some(made_for) = self.fingerprint() else {
            return Ok(None);
        };
        let own = self.instance.own_addresses();
        let tree = tree.iter().filter(|address| !own.contains(address));
        let tree: BTreeSet<IpNet> = tree.map(|address| IpNet::from(*address)).collect();
        let access = self.access(tree)?;
        let (kin, strangers) = match &access {
            Access::Only(sources) => (users_in(sources), BTreeSet::new()),
            Access::AllBut { rejected, always } => (users_in(always), users_in(rejected)),
        };
        let users = Mapping::of(self.partition, self.ids).users();
        let is_else = |user: &(u32, u32)| !kin.contains(user) && !users.contains(user);
        Ok(Some(Guard {
            made_for,
            users,
            strangers: strangers.into_iter().filter(is_else).collect(),
            kin,
            own: own.into_iter().collect(),
            protected: self.protected(),
            access,
            reaches: self.whitelist.map(reaches).transpose()?,
        }))
    }

    /// As the original: the addresses that are routed to it. Where the requester says anything, all others, too.
    fn protected(&self) -> BTreeSet<IpNet> {
        let says = !self.instance.firewall.is_empty();
        let routed = self.instance.routed.iter();
        let routed = routed.map(|it| IpNet::from(it.address));
        let mut all: BTreeSet<IpNet> = routed.collect();
        if !says && self.settings.is_none() {
            all.clear();
        }
        if says {
            let own = self.instance.own_addresses();
            all.extend(own.into_iter().map(IpNet::from));
            all.extend(self.ranges);
        }
        all
    }

    fn access(&self, tree: BTreeSet<IpNet>) -> Result<Access, WishError> {
        let said = &self.instance.firewall;
        let sources = |key| sources(key, said.get(key).map_or("", String::as_str));
        let (mut always, rejected) = (sources(AUTHORIZED)?, sources(REJECTED)?);
        always.extend(tree);
        if let Some(settings) = self.settings {
            always.extend(&settings.authorized_sources);
        }
        match said.get(RESTRICTED).map_or("on", String::as_str) {
            "on" => Ok(Access::Only(always)),
            "off" => Ok(Access::AllBut { rejected, always }),
            other => Err(WishError::Restricted(other.to_owned())),
        }
    }
}

fn sources(key: &'static str, text: &str) -> Result<BTreeSet<IpNet>, WishError> {
    let source = |word: &str| {
        let net = word.parse().map(|net: IpNet| net.trunc());
        let net = net.or_else(|_| word.parse::<IpAddr>().map(IpNet::from));
        net.map_err(|_| WishError::Source(key, word.to_owned()))
    };
    // The original's are parted by spaces; people write commas, too.
    let words = text.split([' ', ',', '\n', '\t']);
    words.filter(|word| !word.is_empty()).map(source).collect()
}

/// IPv6 is not restricted by this file, neither by the original: an address of it there says nothing.
fn reaches(text: &[u8]) -> Result<BTreeSet<Ipv4Addr>, WishError> {
    let words: Vec<String> = serde_json::from_slice(text).map_err(|_| WishError::Form)?;
    let mut all = BTreeSet::new();
    for word in words {
        match word.parse() {
            Ok(IpAddr::V4(address)) => all.extend([address]),
            Ok(IpAddr::V6(_)) => {}
            Err(_) => return Err(WishError::Address(word)),
        }
    }
    Ok(all)
}
