//! An instance as its requester sees it.

use std::collections::BTreeMap;

use crate::id::{ComputerId, InstanceGuid, PartitionId};
use crate::partition::NetworkAddress;
use crate::shape::{Fields, ShapeError};
use crate::state::RequestedState;
use crate::value::{Class, Object, Value, entries};
use crate::xml::{self, DocumentError};

/// The answer to `requestComputerPartition` once the instance has a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoftwareInstance {
    /// Where it is.
    pub computer: ComputerId,
    /// Where there.
    pub partition: PartitionId,
    /// The instance's id; some masters leave it out for shared instances.
    pub guid: Option<InstanceGuid>,
    /// What it shall be; left out as above.
    pub requested_state: Option<RequestedState>,
    /// The release it is an instance of.
    pub software_url: String,
    /// Which of the release's types.
    pub software_type: String,
    /// What it was requested with.
    pub parameters: BTreeMap<String, String>,
    /// What it published.
    pub connection: BTreeMap<String, String>,
    /// Its partition's addresses.
    pub addresses: Vec<NetworkAddress>,
    /// What the requester calls it, if the master tells.
    pub instance_title: Option<String>,
    /// What the tree's root is called, if the master tells.
    pub root_instance_title: Option<String>,
}

impl SoftwareInstance {
    /// Returns the object to marshal.
    pub fn to_value(&self) -> Value {
        let addresses = self
            .addresses
            .iter()
            .map(NetworkAddress::to_value)
            .collect();
        let mut state = entries([
            ("_connection_dict", Value::texts(&self.connection)),
            ("_parameter_dict", Value::texts(&self.parameters)),
            ("ip_list", Value::List(addresses)),
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
        ]);
        let optional = [
            (
                "_instance_guid",
                self.guid.as_ref().map(InstanceGuid::as_str),
            ),
            (
                "_requested_state",
                self.requested_state.map(RequestedState::as_str),
            ),
            ("instance_title", self.instance_title.as_deref()),
            ("root_instance_title", self.root_instance_title.as_deref()),
        ];
        for (key, text) in optional {
            if let Some(text) = text {
                state.insert(key.to_owned(), Value::from(text));
            }
        }
        Value::Object(Object {
            class: Class::SoftwareInstance,
            init: Vec::new(),
            state,
        })
    }

    /// Reads the object.
    pub fn from_value(value: Value) -> Result<Self, ShapeError> {
        let mut fields = Fields::of_object(value, Class::SoftwareInstance)?;
        let computer = fields.parsed("slap_computer_id")?;
        let partition = fields.parsed("slap_computer_partition_id")?;
        let addresses = fields.items("ip_list")?;
        Ok(Self {
            computer: fields.required("slap_computer_id", computer)?,
            partition: fields.required("slap_computer_partition_id", partition)?,
            guid: fields.parsed("_instance_guid")?,
            requested_state: fields.parsed("_requested_state")?,
            software_url: fields
                .text("slap_software_release_url")?
                .unwrap_or_default(),
            software_type: fields.text("slap_software_type")?.unwrap_or_default(),
            parameters: fields.texts("_parameter_dict")?,
            connection: fields.texts("_connection_dict")?,
            addresses: addresses
                .into_iter()
                .map(NetworkAddress::from_value)
                .collect::<Result<_, _>>()?,
            instance_title: fields.text("instance_title")?,
            root_instance_title: fields.text("root_instance_title")?,
        })
    }

    /// Returns the document.
    pub fn to_xml(&self) -> String {
        xml::write(&self.to_value())
    }

    /// Reads the document.
    pub fn from_xml(document: &str) -> Result<Self, DocumentError> {
        Ok(Self::from_value(xml::read(document)?)?)
    }
}
