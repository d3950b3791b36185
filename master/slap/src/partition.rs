//! A partition of a computer as a master describes it: free, or with an instance that shall be started, stopped or destroyed.

use std::collections::BTreeMap;

use crate::id::{ComputerId, InstanceGuid, PartitionId};
use crate::shape::{Fields, ShapeError};
use crate::software::SoftwareRelease;
use crate::state::RequestedState;
use crate::value::{Class, Object, Value, entries};
use crate::xml::{self, DocumentError};

mod parameters;

pub use parameters::{FullAddress, InstanceParameters, NetworkAddress, RESERVED_NAMES, Timestamp};

/// A partition in a computer's list, or the answer to `registerComputerPartition`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComputerPartition {
    /// Which computer.
    pub computer: ComputerId,
    /// Which partition there.
    pub id: PartitionId,
    /// The instance's id. Some masters name free partitions too.
    pub guid: Option<InstanceGuid>,
    /// Who has it. A partition that nobody has is free: on the wire both it and one whose instance shall be destroyed
    /// are `destroyed`, and only a software release tells them apart.
    pub occupant: Option<Occupant>,
}

/// The instance that has a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// What it is an instance of.
    pub software: SoftwareRelease,
    /// What it shall be.
    pub requested_state: RequestedState,
    /// What it was requested with, and what the master adds to that.
    pub parameters: InstanceParameters,
    /// What it published.
    pub connection: BTreeMap<String, String>,
    /// Conditions of its request (`_filter_dict`), if the master tells them.
    pub filter: BTreeMap<String, String>,
    /// `#access …` or `#error …`: what the master last heard of it, if it tells.
    pub access_status: Option<String>,
}

impl ComputerPartition {
    /// Returns the object to marshal.
    pub fn to_value(&self) -> Value {
        let busy = self.occupant.is_some();
        let requested = self
            .occupant
            .as_ref()
            .map_or(RequestedState::Destroyed, |o| o.requested_state);
        let mut state = entries([
            ("_computer_id", Value::from(self.computer.as_str())),
            ("_partition_id", Value::from(self.id.as_str())),
            ("_request_dict", Value::None),
            ("_requested_state", Value::from(requested.as_str())),
            ("_need_modification", Value::Int(i64::from(busy))),
            ("_software_release_document", Value::None),
        ]);
        if let Some(guid) = &self.guid {
            state.insert("_instance_guid".to_owned(), Value::from(guid.as_str()));
        }
        if let Some(occupant) = &self.occupant {
            state.extend(occupant.attributes());
        }
        Value::Object(Object {
            class: Class::ComputerPartition,
            init: vec![
                Value::from(self.computer.as_str()),
                Value::from(self.id.as_str()),
                Value::None,
            ],
            state,
        })
    }

    /// Reads the object.
    pub fn from_value(value: Value) -> Result<Self, ShapeError> {
        let mut fields = Fields::of_object(value, Class::ComputerPartition)?;
        let computer = fields.parsed("_computer_id")?;
        let id = fields.parsed::<PartitionId>("_partition_id")?;
        let id = fields.required("_partition_id", id)?;
        let occupant = match fields.take("_software_release_document") {
            None => None,
            Some(software) => {
                let occupant = SoftwareRelease::from_value(software)
                    .and_then(|software| Occupant::read(software, &mut fields));
                Some(occupant.map_err(|error| error.inside(id.as_str()))?)
            }
        };
        Ok(Self {
            computer: fields.required("_computer_id", computer)?,
            guid: fields.parsed("_instance_guid")?,
            id,
            occupant,
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

impl Occupant {
    fn attributes(&self) -> BTreeMap<String, Value> {
        let mut attributes = entries([
            ("_software_release_document", self.software.to_value()),
            ("_parameter_dict", self.parameters.to_value()),
            ("_connection_dict", Value::texts(&self.connection)),
        ]);
        if !self.filter.is_empty() {
            attributes.insert("_filter_dict".to_owned(), Value::texts(&self.filter));
        }
        if let Some(status) = &self.access_status {
            attributes.insert("_access_status".to_owned(), Value::from(status.as_str()));
        }
        attributes
    }

    fn read(software: SoftwareRelease, fields: &mut Fields) -> Result<Self, ShapeError> {
        let requested_state = fields.parsed("_requested_state")?;
        let parameters = match fields.take("_parameter_dict") {
            None => InstanceParameters::default(),
            Some(value) => InstanceParameters::from_value(value)?,
        };
        Ok(Self {
            software,
            requested_state: fields.required("_requested_state", requested_state)?,
            parameters,
            connection: fields.texts("_connection_dict")?,
            filter: fields.texts("_filter_dict")?,
            access_status: fields.text("_access_status")?,
        })
    }
}
