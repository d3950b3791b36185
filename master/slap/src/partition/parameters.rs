//! `_parameter_dict`: the user's parameters and, mixed with them, what the master says of the instance.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::shape::{self, Fields, ShapeError, expected, items};
use crate::value::{Value, entries};
use crate::xml::{self, DocumentError};

/// What an instance is configured with. Masters let their own keys win over the user's, so those never appear in `user`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceParameters {
    /// What the requester gave.
    pub user: BTreeMap<String, String>,
    /// `instance_title`.
    pub instance_title: String,
    /// `root_instance_title`.
    pub root_instance_title: String,
    /// `slap_computer_id`.
    pub computer: String,
    /// `slap_computer_partition_id`.
    pub partition: String,
    /// `slap_software_release_url`.
    pub software_url: String,
    /// `slap_software_type`.
    pub software_type: String,
    /// When the instance last changed.
    pub timestamp: Timestamp,
    /// `ip_list`: the partition's own addresses.
    pub addresses: Vec<NetworkAddress>,
    /// `full_ip_list`: addresses with a gateway.
    pub full_addresses: Vec<FullAddress>,
    /// `slave_instance_list`: who shares the instance, with their parameters.
    pub shared: Vec<BTreeMap<String, String>>,
}

/// When an instance last changed: compared for equality only, whatever else it may mean to its master.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(
    /// The text; ours are whole microseconds since 1970, since some clients read an integer.
    pub String,
);

impl Timestamp {
    /// Returns the timestamp of a moment.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.to_string())
    }
}

/// An address of a partition and the interface it is called by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkAddress {
    /// `slaptap0`, or the partition's name where there is no tap.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
}

/// An address with the way to it, texts as the peer writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullAddress {
    /// `route_<tap>`.
    pub interface: String,
    /// The address.
    pub address: String,
    /// Its gateway.
    pub gateway: String,
    /// Its netmask.
    pub netmask: String,
    /// Its network.
    pub network: String,
}

impl NetworkAddress {
    /// Returns the pair to marshal.
    pub fn to_value(&self) -> Value {
        Value::Tuple(vec![
            Value::from(self.interface.as_str()),
            Value::from(self.address.to_string()),
        ])
    }

    /// Reads a document that is a list of pairs.
    pub fn list_from_xml(document: &str) -> Result<Vec<Self>, DocumentError> {
        let pairs = items(xml::read(document)?, "addresses")?.into_iter();
        Ok(pairs.map(Self::from_value).collect::<Result<_, _>>()?)
    }

    /// Reads the pair.
    pub fn from_value(value: Value) -> Result<Self, ShapeError> {
        let [interface, address] = texts(value, "ip_list")?;
        let address = address
            .parse()
            .map_err(|_| ShapeError::new("ip_list", format!("`{address}` is no address")))?;
        Ok(Self { interface, address })
    }
}

impl FullAddress {
    fn to_value(&self) -> Value {
        let parts = [
            &self.interface,
            &self.address,
            &self.gateway,
            &self.netmask,
            &self.network,
        ];
        Value::Tuple(parts.map(|part| Value::from(part.as_str())).into())
    }

    fn from_value(value: Value) -> Result<Self, ShapeError> {
        let [interface, address, gateway, netmask, network] = texts(value, "full_ip_list")?;
        Ok(Self {
            interface,
            address,
            gateway,
            netmask,
            network,
        })
    }
}

/// Names that a master gives its own values in an instance's parameters; a user's parameter of such a name is not seen.
pub const RESERVED_NAMES: [&str; 11] = [
    "full_ip_list",
    "instance_title",
    "ip_list",
    "root_instance_short_title",
    "root_instance_title",
    "slap_computer_id",
    "slap_computer_partition_id",
    "slap_software_release_url",
    "slap_software_type",
    "slave_instance_list",
    "timestamp",
];

impl InstanceParameters {
    /// Returns the dictionary to marshal.
    pub fn to_value(&self) -> Value {
        let shared = self.shared.iter().map(Value::texts).collect();
        let mut all = entries([
            ("instance_title", Value::from(self.instance_title.as_str())),
            (
                "root_instance_title",
                Value::from(self.root_instance_title.as_str()),
            ),
            ("slap_computer_id", Value::from(self.computer.as_str())),
            (
                "slap_computer_partition_id",
                Value::from(self.partition.as_str()),
            ),
            (
                "slap_software_release_url",
                Value::from(self.software_url.as_str()),
            ),
            (
                "slap_software_type",
                Value::from(self.software_type.as_str()),
            ),
            ("timestamp", Value::from(self.timestamp.0.as_str())),
            (
                "ip_list",
                Value::List(
                    self.addresses
                        .iter()
                        .map(NetworkAddress::to_value)
                        .collect(),
                ),
            ),
            (
                "full_ip_list",
                Value::List(
                    self.full_addresses
                        .iter()
                        .map(FullAddress::to_value)
                        .collect(),
                ),
            ),
            ("slave_instance_list", Value::List(shared)),
        ]);
        for (key, text) in &self.user {
            all.entry(key.clone())
                .or_insert_with(|| Value::from(text.as_str()));
        }
        Value::Dict(all)
    }

    /// Reads the dictionary. What is no text among the user's parameters is not for an instance, and left out.
    pub fn from_value(value: Value) -> Result<Self, ShapeError> {
        let mut fields = Fields::of_dict(value, "_parameter_dict")?;
        let mut text = |key: &str| Ok(fields.text(key)?.unwrap_or_default());
        let mut parameters = Self {
            instance_title: text("instance_title")?,
            root_instance_title: text("root_instance_title")?,
            computer: text("slap_computer_id")?,
            partition: text("slap_computer_partition_id")?,
            software_url: text("slap_software_release_url")?,
            software_type: text("slap_software_type")?,
            timestamp: Timestamp(text("timestamp")?),
            ..Self::default()
        };
        for address in fields.items("ip_list")? {
            parameters
                .addresses
                .push(NetworkAddress::from_value(address)?);
        }
        for address in fields.items("full_ip_list")? {
            parameters
                .full_addresses
                .push(FullAddress::from_value(address)?);
        }
        for shared in fields.items("slave_instance_list")? {
            parameters
                .shared
                .push(shape::texts(shared, "slave_instance_list")?);
        }
        let user = fields
            .rest()
            .into_iter()
            .filter(|(name, _)| !RESERVED_NAMES.contains(&name.as_str()));
        parameters.user = user
            .filter_map(|(key, value)| Some((key, user_text(&value)?)))
            .collect();
        Ok(parameters)
    }
}

/// An empty parameter may come as nothing.
fn user_text(value: &Value) -> Option<String> {
    if *value == Value::None {
        return Some(String::new());
    }
    value.scalar_text()
}

fn texts<const N: usize>(value: Value, path: &str) -> Result<[String; N], ShapeError> {
    let found = expected(path, &format!("{N} texts"), &value);
    let texts: Option<Vec<String>> = items(value, path)?.iter().map(Value::scalar_text).collect();
    texts.and_then(|texts| texts.try_into().ok()).ok_or(found)
}
