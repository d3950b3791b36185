//! A software release on a computer.

use crate::id::ComputerId;
use crate::shape::{Fields, ShapeError};
use crate::state::SupplyState;
use crate::value::{Class, Object, Value};

/// A release that a computer has, shall have or shall lose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoftwareRelease {
    /// What it is known by.
    pub url: String,
    /// Where it is.
    pub computer: ComputerId,
    /// What it shall be there. Said in a computer's list of software, not where an instance names its release.
    pub requested_state: Option<SupplyState>,
}

impl SoftwareRelease {
    /// Returns what the release shall be; one of which nothing is said shall be there.
    pub fn state(&self) -> SupplyState {
        self.requested_state.unwrap_or(SupplyState::Available)
    }

    /// Returns the object to marshal.
    pub fn to_value(&self) -> Value {
        let mut state = crate::value::entries([
            ("_computer_guid", Value::from(self.computer.as_str())),
            ("_software_instance_list", Value::List(Vec::new())),
            ("_software_release", Value::from(self.url.as_str())),
        ]);
        if let Some(requested) = self.requested_state {
            state.insert(
                "_requested_state".to_owned(),
                Value::from(requested.as_str()),
            );
        }
        Value::Object(Object {
            class: Class::SoftwareRelease,
            init: vec![
                Value::from(self.url.as_str()),
                Value::from(self.computer.as_str()),
            ],
            state,
        })
    }

    /// Reads the object.
    pub fn from_value(value: Value) -> Result<Self, ShapeError> {
        let mut fields = Fields::of_object(value, Class::SoftwareRelease)?;
        let url = fields.text("_software_release")?;
        let computer = fields.parsed("_computer_guid")?;
        Ok(Self {
            url: fields.required("_software_release", url)?,
            computer: fields.required("_computer_guid", computer)?,
            requested_state: fields.parsed("_requested_state")?,
        })
    }
}
