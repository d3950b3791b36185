//! What the master wants of this node, in types that cannot say anything invalid.
//!
//! Built from the protocol's types once; what is wrong in there is set aside in words, a partition at a time. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use slap::partition::FullAddress;
use slap::{Occupant, RequestedState, SupplyState};

use crate::instances::answers::Told;
use crate::instances::limits::{self, Asked};
use crate::instances::retention;
use crate::software::ReleaseId;

/// Everything that the master wants of this node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    /// The releases that shall be installed, or removed.
    pub software: BTreeMap<SoftwareUrl, SupplyState>,
    /// The instances, by the partition they are in.
    pub partitions: BTreeMap<PartitionName, Instance>,
    /// What could not be understood, by partition (or release) as the master named it.
    pub refused: BTreeMap<String, String>,
}

impl From<&slap::Computer> for Desired {
    /// Keeps what can be understood; one wrong partition does not stop the others.
    fn from(computer: &slap::Computer) -> Self {
        let mut desired = Self::default();
        for release in &computer.software {
            let url = SoftwareUrl::new(&release.url);
            desired.software.insert(url, release.state());
        }
        for partition in &computer.partitions {
            let Some(occupant) = &partition.occupant else {
                continue;
            };
            match partition.id.as_str().parse() {
                Ok(name) => {
                    let reference = partition.guid.as_ref().map(|guid| guid.as_str());
                    let instance = Instance::new(occupant, reference.unwrap_or_default());
                    desired.partitions.insert(name, instance);
                }
                Err(NotAPartition(text)) => {
                    let reason = NotAPartition(text.clone()).to_string();
                    desired.refused.insert(text, reason);
                }
            }
        }
        desired
    }
}

impl Desired {
    /// Returns the releases that the master speaks of, to be installed or removed, and those of its instances.
    pub fn releases(&self) -> BTreeSet<ReleaseId> {
        let of_instances = self.partitions.values().map(|instance| &instance.software);
        let all = self.software.keys().chain(of_instances);
        all.map(ReleaseId::of).collect()
    }
}

/// `slappartN`: which partition, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PartitionName(u16);

/// A text that is not the name of a partition.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a partition of this node (they are named slappart0, slappart1 …)")]
pub struct NotAPartition(String);

impl PartitionName {
    /// Returns the name of partition `index`.
    pub fn new(index: u16) -> Self {
        Self(index)
    }

    /// Returns which partition it is, from 0.
    pub fn index(self) -> u16 {
        self.0
    }

    /// Returns the name of its user and group.
    pub fn user(self) -> String {
        format!("slapuser{}", self.0)
    }
}

impl fmt::Display for PartitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slappart{}", self.0)
    }
}

impl FromStr for PartitionName {
    type Err = NotAPartition;

    fn from_str(text: &str) -> Result<Self, NotAPartition> {
        let not = || NotAPartition(text.to_owned());
        let digits = text.strip_prefix("slappart").ok_or_else(not)?;
        let index = digits.parse().map_err(|_| not())?;
        // `+1` and `01` are numbers too, but no names.
        (Self(index).to_string() == text)
            .then_some(Self(index))
            .ok_or_else(not)
    }
}

impl TryFrom<String> for PartitionName {
    type Error = NotAPartition;

    fn try_from(text: String) -> Result<Self, NotAPartition> {
        text.parse()
    }
}

impl From<PartitionName> for String {
    fn from(name: PartitionName) -> Self {
        name.to_string()
    }
}

/// The URL that names a release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SoftwareUrl(String);

impl SoftwareUrl {
    /// Takes the URL as the master gives it.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// Returns the URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SoftwareUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address that the node routes to a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routed {
    /// `route_slaptap0`.
    pub interface: String,
    pub address: IpAddr,
    pub gateway: String,
    pub netmask: String,
    pub network: String,
}

/// One configured run of a release in a partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    pub state: RequestedState,
    pub software: SoftwareUrl,
    pub software_type: String,
    pub title: String,
    pub root_title: String,
    /// The master's reference of the instance.
    pub reference: String,
    /// Moves whenever anything about the instance changes; as the master writes it.
    pub timestamp: String,
    /// What the requester gave it.
    pub parameters: BTreeMap<String, String>,
    /// Who shares it, with their parameters.
    pub shared: Vec<BTreeMap<String, String>>,
    /// Its addresses with the interface each is on.
    pub ip_list: Vec<(String, IpAddr)>,
    /// What its request asks for of the node's means.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub asked: Asked,
    /// The addresses that the node routes to it, with the way there.
    #[serde(default)]
    pub routed: Vec<Routed>,
    /// Who may reach it, as its requester says.
    #[serde(default)]
    pub firewall: BTreeMap<String, String>,
    /// For how many days what it leaves is kept.
    pub retention_days: f64,
    /// What the master knows as published.
    pub connection: BTreeMap<String, String>,
}

impl Instance {
    fn new(occupant: &Occupant, reference: &str) -> Self {
        let parameters = &occupant.parameters;
        let addresses = parameters.addresses.iter();
        let mut user = parameters.user.clone();
        let asked = limits::asked(&mut user, &occupant.filter);
        Self {
            state: occupant.requested_state,
            software: SoftwareUrl::new(&occupant.software.url),
            software_type: parameters.software_type.clone(),
            title: parameters.instance_title.clone(),
            root_title: parameters.root_instance_title.clone(),
            reference: reference.to_owned(),
            timestamp: parameters.timestamp.0.clone(),
            parameters: user,
            shared: parameters.shared.clone(),
            ip_list: addresses
                .map(|one| (one.interface.clone(), one.address))
                .collect(),
            asked,
            routed: parameters
                .full_addresses
                .iter()
                .filter_map(routed)
                .collect(),
            firewall: occupant
                .filter
                .iter()
                .filter(|(name, _)| name.starts_with(FIREWALL))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            retention_days: retention::days(
                occupant
                    .filter
                    .get(retention::CONDITION)
                    .map(String::as_str),
            ),
            connection: occupant.connection.clone(),
        }
    }

    /// Returns the document that the instance is configured with: a JSON text. `told` is what came of what it requested.
    ///
    /// It does not hold the timestamp, so that equal documents mean equal configurations.
    pub fn document(&self, partition: PartitionName, told: &Told) -> String {
        let document = Document {
            instance_title: &self.title,
            ip_list: &self.ip_list,
            full_ip_list: &self.routed,
            parameters: &self.parameters,
            partition,
            reference: &self.reference,
            requested: told,
            root_instance_title: &self.root_title,
            slave_instance_list: &self.shared,
            software_release_url: &self.software,
            software_type: &self.software_type,
        };
        serde_json::to_string_pretty(&document).expect("texts become JSON")
    }

    /// Returns what tells this configuration from another one of the same partition, its timestamp aside.
    pub fn configuration(&self, partition: PartitionName, told: &Told) -> Fingerprint {
        Fingerprint::of(self.document(partition, told).as_bytes())
    }

    /// Returns what tells this order of the master, with what came of its requests, from another one.
    pub fn order(&self, partition: PartitionName, told: &Told) -> Fingerprint {
        let document = self.document(partition, told);
        Fingerprint::of(format!("{document}\0{}", self.timestamp).as_bytes())
    }

    /// Says whether a shared instance of this reference shares it.
    pub fn is_shared_by(&self, reference: &str) -> bool {
        let mut references = self.shared.iter().filter_map(|share| share.get(SHARE));
        references.any(|it| it == reference)
    }

    /// Says whether the master knows this as published for one that shares it: some tell it with the rest.
    pub fn knows(&self, reference: &str, published: &BTreeMap<String, String>) -> bool {
        let mut shares = self.shared.iter();
        let share = shares.find(|it| it.get(SHARE).is_some_and(|it| it == reference));
        share.is_some_and(|it| {
            published
                .iter()
                .all(|(name, text)| it.get(name) == Some(text))
        })
    }

    /// Returns all its addresses.
    pub fn own_addresses(&self) -> Vec<IpAddr> {
        let own = self.ip_list.iter().map(|(_, address)| *address);
        own.chain(self.routed.iter().map(|it| it.address)).collect()
    }

    /// Returns its first address that is IPv6, and its first that is IPv4.
    pub fn addresses(&self) -> (Option<Ipv6Addr>, Option<Ipv4Addr>) {
        let mut found = (None, None);
        for (_, address) in &self.ip_list {
            match address {
                IpAddr::V6(address) => found.0 = found.0.or(Some(*address)),
                IpAddr::V4(address) => found.1 = found.1.or(Some(*address)),
            }
        }
        found
    }
}

/// Where the reference of who shares an instance stands.
const SHARE: &str = "slave_reference";
/// How the conditions of a request begin that are about who may reach the instance.
const FIREWALL: &str = "fw_";

/// What is no address is nobody's way.
fn routed(full: &FullAddress) -> Option<Routed> {
    Some(Routed {
        interface: full.interface.clone(),
        address: full.address.parse().ok()?,
        gateway: full.gateway.clone(),
        netmask: full.netmask.clone(),
        network: full.network.clone(),
    })
}

#[derive(Serialize)]
struct Document<'a> {
    instance_title: &'a str,
    ip_list: &'a [(String, IpAddr)],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    full_ip_list: &'a [Routed],
    parameters: &'a BTreeMap<String, String>,
    partition: PartitionName,
    reference: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    requested: &'a Told,
    root_instance_title: &'a str,
    slave_instance_list: &'a [BTreeMap<String, String>],
    software_release_url: &'a SoftwareUrl,
    software_type: &'a str,
}

/// Tells two configurations of an instance apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Takes a fingerprint that was written down before.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the fingerprint of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        Self(
            digest[..8]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }

    /// Returns it as 16 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn a_partition_has_one_name() {
        for name in ["slappart0", "slappart199"] {
            assert_eq!(name.parse::<PartitionName>().unwrap().to_string(), name);
        }
        for name in [
            "slappart",
            "slappart01",
            "slappart+1",
            "slappart70000",
            "slappart-1",
            "x",
            "slapuser0",
        ] {
            assert!(name.parse::<PartitionName>().is_err(), "{name}");
        }
    }

    pub(crate) fn instance() -> Instance {
        Instance {
            state: RequestedState::Started,
            software: SoftwareUrl::new("https://x/demo.oci.tar"),
            software_type: "default".into(),
            title: "site".into(),
            root_title: "site".into(),
            reference: "SOFTINST-1".into(),
            timestamp: "1".into(),
            parameters: BTreeMap::new(),
            shared: Vec::new(),
            ip_list: vec![
                ("slaptap0".into(), "10.0.0.2".parse().unwrap()),
                ("slaptap0".into(), "fd00::2".parse().unwrap()),
            ],
            asked: Asked::new(),
            routed: Vec::new(),
            firewall: BTreeMap::new(),
            retention_days: 0.0,
            connection: BTreeMap::new(),
        }
    }

    #[test]
    fn the_timestamp_makes_another_order_but_not_another_configuration() {
        let partition = PartitionName::new(0);
        let (one, mut two) = (instance(), instance());
        two.timestamp = "2".into();
        two.connection.insert("url".into(), "published".into());
        let nothing = Told::new();
        let configuration = |it: &Instance| it.configuration(partition, &nothing);
        assert_eq!(configuration(&one), configuration(&two));
        assert_ne!(
            one.order(partition, &nothing),
            two.order(partition, &nothing)
        );
        two.parameters.insert("a".into(), "b".into());
        assert_ne!(configuration(&one), configuration(&two));
    }

    #[test]
    fn an_instance_knows_its_addresses() {
        let (ipv6, ipv4) = instance().addresses();
        assert_eq!(ipv6, Some("fd00::2".parse().unwrap()));
        assert_eq!(ipv4, Some("10.0.0.2".parse().unwrap()));
    }

    #[test]
    fn what_was_kept_is_what_was_wanted() {
        let desired = Desired {
            software: BTreeMap::from([(SoftwareUrl::new("https://x/a"), SupplyState::Destroyed)]),
            partitions: BTreeMap::from([(PartitionName::new(7), instance())]),
            refused: BTreeMap::new(),
        };
        let kept = serde_json::to_string(&desired).unwrap();
        assert_eq!(serde_json::from_str::<Desired>(&kept).unwrap(), desired);
    }
}
