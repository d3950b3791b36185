//! A computer as a master describes it to its node: everything that shall be there.

use crate::id::ComputerId;
use crate::partition::ComputerPartition;
use crate::shape::{Fields, ShapeError};
use crate::software::SoftwareRelease;
use crate::value::{Class, Object, Value, entries};
use crate::xml::{self, DocumentError};

/// The answer to `getFullComputerInformation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Computer {
    /// Which computer.
    pub id: ComputerId,
    /// All its partitions, free ones too.
    pub partitions: Vec<ComputerPartition>,
    /// What is supplied to it.
    pub software: Vec<SoftwareRelease>,
}

impl Computer {
    /// Returns the object to marshal.
    pub fn to_value(&self) -> Value {
        let partitions = self
            .partitions
            .iter()
            .map(ComputerPartition::to_value)
            .collect();
        let software = self
            .software
            .iter()
            .map(SoftwareRelease::to_value)
            .collect();
        Value::Object(Object {
            class: Class::Computer,
            init: vec![Value::from(self.id.as_str())],
            state: entries([
                ("_computer_id", Value::from(self.id.as_str())),
                ("_computer_partition_list", Value::List(partitions)),
                ("_software_release_list", Value::List(software)),
            ]),
        })
    }

    /// Reads the object.
    pub fn from_value(value: Value) -> Result<Self, ShapeError> {
        let mut fields = Fields::of_object(value, Class::Computer)?;
        let id = fields.parsed("_computer_id")?;
        let partitions = fields.items("_computer_partition_list")?;
        let software = fields.items("_software_release_list")?;
        Ok(Self {
            id: fields.required("_computer_id", id)?,
            partitions: partitions
                .into_iter()
                .map(ComputerPartition::from_value)
                .collect::<Result<_, _>>()?,
            software: software
                .into_iter()
                .map(SoftwareRelease::from_value)
                .collect::<Result<_, _>>()?,
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
