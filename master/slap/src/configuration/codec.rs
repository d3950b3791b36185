//! The announcement ⇄ values, with every key that `slapos node format` sends.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    ComputerConfiguration, Ipv6Range, PartitionAddress, PartitionConfiguration, PartitionUser, Tap,
    TapIpv4, TapIpv6, netmask,
};
use crate::shape::{self, Fields, ShapeError};
use crate::value::{Value, entries};

impl ComputerConfiguration {
    /// Returns the dictionary to marshal.
    pub fn to_value(&self) -> Value {
        let partitions = self.partitions.iter();
        let interface = self.interface.as_ref().map_or(Value::None, |name| {
            Value::Dict(entries([
                ("ipv4_local_network", Value::from("")),
                ("ipv6_interface", Value::None),
                ("ipv6_prefixshift", Value::Int(16)),
                ("name", Value::from(name.as_str())),
            ]))
        });
        Value::Dict(entries([
            ("address", optional(self.address)),
            ("instance_root", Value::from(self.instance_root.as_str())),
            (
                "instance_storage_home",
                self.storage_home
                    .as_deref()
                    .map_or(Value::None, Value::from),
            ),
            ("interface", interface),
            ("ipv6_interface", Value::None),
            ("netmask", optional(self.netmask)),
            ("os_type", Value::from(self.os_type.as_str())),
            ("partition_has_ipv6_range", Value::Bool(true)),
            (
                "partition_list",
                Value::List(partitions.map(PartitionConfiguration::to_value).collect()),
            ),
            ("public_ipv4_address", Value::None),
            ("python_version", Value::from("")),
            ("reference", Value::from(self.reference.as_str())),
            ("slapos_version", Value::from(self.version.as_str())),
            ("software_root", Value::from(self.software_root.as_str())),
            ("software_user", Value::from(self.software_user.as_str())),
            (
                "tap_gateway_interface",
                self.tap_gateway_interface
                    .as_deref()
                    .map_or(Value::None, Value::from),
            ),
            ("tap_ipv6", Value::Bool(true)),
        ]))
    }

    /// Reads the dictionary. Of what masters do not need, anything may be missing.
    pub fn from_value(value: Value) -> Result<Self, ShapeError> {
        let mut fields = Fields::of_dict(value, "computer")?;
        let reference = fields.parsed("reference")?;
        let interface = match fields.take("interface") {
            None => None,
            Some(interface) => Fields::of_dict(interface, "interface")?.text("name")?,
        };
        let partitions = fields.items("partition_list")?;
        let address = parsed_or_empty(&mut fields, "address")?;
        let netmask = fields.netmask("netmask", address)?;
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let storage_home = given(fields.text("instance_storage_home")?);
        let tap_gateway_interface = given(fields.text("tap_gateway_interface")?);
        let mut text = |key: &str| Ok(fields.text(key)?.unwrap_or_default());
        Ok(Self {
            instance_root: text("instance_root")?,
            software_root: text("software_root")?,
            software_user: text("software_user")?,
            os_type: text("os_type")?,
            version: text("slapos_version")?,
            reference: fields.required("reference", reference)?,
            address,
            netmask,
            interface,
            storage_home,
            tap_gateway_interface,
            partitions: partitions
                .into_iter()
                .map(PartitionConfiguration::from_value)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl PartitionConfiguration {
    /// Returns the dictionary to marshal.
    pub fn to_value(&self) -> Value {
        let groups = self
            .user
            .groups
            .iter()
            .map(|group| Value::from(group.as_str()));
        let user = entries([
            ("additional_group_list", Value::List(groups.collect())),
            ("name", Value::from(self.user.name.as_str())),
            ("path", Value::from(self.path.as_str())),
            ("shell", Value::from(self.user.shell.as_str())),
        ]);
        let addresses = self.addresses.iter().map(|address| {
            Value::Dict(entries([
                ("addr", Value::from(address.address.to_string())),
                ("netmask", Value::from(address.netmask.to_string())),
            ]))
        });
        let storage = self.external_storage.iter();
        let storage = storage.map(|path| Value::from(path.as_str()));
        let mut all = entries([
            ("address_list", Value::List(addresses.collect())),
            ("external_storage_list", Value::List(storage.collect())),
            (
                "ipv6_range",
                self.ipv6_range
                    .map_or(Value::Dict(BTreeMap::new()), |range| range.to_value()),
            ),
            ("path", Value::from(self.path.as_str())),
            ("reference", Value::from(self.reference.as_str())),
            ("tap", self.tap.to_value()),
            ("tun", Value::None),
            ("user", Value::Dict(user)),
        ]);
        if !self.capabilities.is_empty() {
            let capabilities = self.capabilities.iter();
            let capabilities = capabilities.map(|it| Value::from(it.as_str()));
            all.insert(
                "capability_list".to_owned(),
                Value::List(capabilities.collect()),
            );
        }
        Value::Dict(all)
    }

    /// Returns the text of the partition's `.slapos-resource`.
    pub fn resource_file(&self) -> String {
        let mut text = Vec::new();
        let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, indent);
        serde::Serialize::serialize(&self.to_value().to_json(), &mut serializer)
            .expect("a value becomes JSON");
        String::from_utf8(text).expect("JSON is UTF-8")
    }

    /// Reads the dictionary.
    pub fn from_value(value: Value) -> Result<Self, ShapeError> {
        let mut fields = Fields::of_dict(value, "partition")?;
        let reference = fields.parsed("reference")?;
        let addresses = fields.items("address_list")?;
        let capabilities = fields.items("capability_list")?;
        let storage = fields.items("external_storage_list")?;
        let user = fields.take("user").unwrap_or(Value::Dict(BTreeMap::new()));
        let range = fields.take("ipv6_range");
        let tap = fields.take("tap");
        Ok(Self {
            reference: fields.required("reference", reference)?,
            path: fields.text("path")?.unwrap_or_default(),
            capabilities: capabilities.iter().filter_map(Value::scalar_text).collect(),
            user: PartitionUser::from_value(user)?,
            addresses: addresses
                .into_iter()
                .map(PartitionAddress::from_value)
                .collect::<Result<_, _>>()?,
            ipv6_range: range.map_or(Ok(None), Ipv6Range::from_value)?,
            tap: tap.map_or(Ok(Tap::default()), Tap::from_value)?,
            external_storage: storage.iter().filter_map(Value::scalar_text).collect(),
        })
    }
}

impl PartitionUser {
    fn from_value(value: Value) -> Result<Self, ShapeError> {
        let mut fields = Fields::of_dict(value, "user")?;
        let groups = fields.items("additional_group_list")?;
        Ok(Self {
            name: fields.text("name")?.unwrap_or_default(),
            shell: fields.text("shell")?.unwrap_or_default(),
            groups: groups.iter().filter_map(Value::scalar_text).collect(),
        })
    }
}

impl PartitionAddress {
    fn from_value(value: Value) -> Result<Self, ShapeError> {
        let mut fields = Fields::of_dict(value, "address_list")?;
        let address = fields.parsed("addr")?;
        let netmask = fields.netmask("netmask", address)?;
        Ok(Self {
            address: fields.required("addr", address)?,
            netmask: fields.required("netmask", netmask)?,
        })
    }
}

impl Ipv6Range {
    fn to_value(self) -> Value {
        Value::Dict(entries([
            ("addr", Value::from(self.address.to_string())),
            (
                "netmask",
                Value::from(netmask::v6(self.prefix_length).to_string()),
            ),
            (
                "network",
                Value::from(format!("{}/{}", self.address, self.prefix_length)),
            ),
            ("prefixlen", Value::Int(i64::from(self.prefix_length))),
        ]))
    }

    fn from_value(value: Value) -> Result<Option<Self>, ShapeError> {
        let mut fields = Fields::of_dict(value, "ipv6_range")?;
        let prefix_length = fields.parsed("prefixlen")?;
        match fields.parsed("addr")? {
            None => Ok(None),
            Some(address) => Ok(Some(Self {
                address,
                prefix_length: fields.required("prefixlen", prefix_length)?,
            })),
        }
    }
}

impl Tap {
    fn to_value(&self) -> Value {
        let v4 = self.ipv4;
        let v6 = self.ipv6;
        Value::Dict(entries([
            ("ipv4_addr", text_or_empty(v4.map(|tap| tap.address))),
            ("ipv4_gateway", text_or_empty(v4.map(|tap| tap.gateway))),
            (
                "ipv4_netmask",
                text_or_empty(v4.map(|tap| netmask::v4(tap.prefix_length))),
            ),
            (
                "ipv4_network",
                text_or_empty(v4.map(|tap| format!("{}/{}", tap.gateway, tap.prefix_length))),
            ),
            ("ipv6_addr", text_or_empty(v6.map(|tap| tap.address))),
            ("ipv6_gateway", text_or_empty(v6.map(|tap| tap.gateway))),
            (
                "ipv6_netmask",
                text_or_empty(v6.map(|tap| netmask::v6(tap.prefix_length))),
            ),
            (
                "ipv6_network",
                text_or_empty(v6.map(|tap| format!("{}/{}", tap.gateway, tap.prefix_length))),
            ),
            ("name", Value::from(self.name.as_str())),
        ]))
    }

    fn from_value(value: Value) -> Result<Self, ShapeError> {
        let mut fields = Fields::of_dict(value, "tap")?;
        let name = fields.text("name")?.unwrap_or_default();
        let v4 = (
            parsed_or_empty(&mut fields, "ipv4_addr")?,
            parsed_or_empty(&mut fields, "ipv4_gateway")?,
            parsed_or_empty::<Ipv4Addr>(&mut fields, "ipv4_netmask")?,
        );
        let v6 = (
            parsed_or_empty(&mut fields, "ipv6_addr")?,
            parsed_or_empty(&mut fields, "ipv6_gateway")?,
            parsed_or_empty::<Ipv6Addr>(&mut fields, "ipv6_netmask")?,
        );
        let ipv4 = match v4 {
            (Some(address), Some(gateway), Some(mask)) => Some(TapIpv4 {
                address,
                gateway,
                prefix_length: ones(mask.to_bits().leading_ones()),
            }),
            _ => None,
        };
        let ipv6 = match v6 {
            (Some(address), Some(gateway), Some(mask)) => Some(TapIpv6 {
                address,
                gateway,
                prefix_length: ones(mask.to_bits().leading_ones()),
            }),
            _ => None,
        };
        Ok(Self { name, ipv4, ipv6 })
    }
}

fn optional(address: Option<IpAddr>) -> Value {
    address.map_or(Value::None, |address| Value::from(address.to_string()))
}

fn text_or_empty(value: Option<impl ToString>) -> Value {
    Value::from(value.map(|value| value.to_string()).unwrap_or_default())
}

fn parsed_or_empty<T>(fields: &mut Fields, key: &str) -> Result<Option<T>, ShapeError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    match fields.text(key)? {
        None => Ok(None),
        Some(text) if text.is_empty() => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|problem: T::Err| shape::ShapeError::new(key, problem.to_string())),
    }
}

fn ones(count: u32) -> u8 {
    u8::try_from(count).expect("an address has at most 128 bits")
}
