//! SLAP, what nodes, masters and people's tools say to each other: types and codec, no I/O.
//!
//! * nouns: [`computer`], [`partition`], [`software`], [`instance`], [`configuration`]; ids in [`id`], states in [`state`]
//! * forms that are posted: [`forms`]; the marshalled values they and the replies consist of: [`value`], [`xml`]; [`instance_xml`]
//! * Slapbox's own: [`v1`] (JSON), [`join`] (what a box needs to trust and be trusted), [`comparison`] (what two people read to each other)
//! * `client`, a feature: for those who call a master
#![warn(missing_docs)]

#[cfg(feature = "client")]
pub mod client;
pub mod comparison;
pub mod computer;
pub mod configuration;
pub mod forms;
pub mod id;
pub mod instance;
pub mod instance_xml;
pub mod join;
pub mod partition;
mod shape;
pub mod software;
pub mod state;
pub mod usage;
pub mod v1;
pub mod value;
pub mod xml;

pub use comparison::comparison_code;
pub use computer::Computer;
pub use configuration::ComputerConfiguration;
pub use forms::RequestForm;
pub use id::{ComputerId, InstanceGuid, PartitionId, ProjectName, Title, UserName};
pub use instance::SoftwareInstance;
pub use join::JoinBlob;
pub use partition::{ComputerPartition, Occupant};
pub use shape::ShapeError;
pub use software::SoftwareRelease;
pub use state::{RequestedState, SupplyState};
pub use usage::{Consumption, Journal};
pub use value::Value;

/// The name that every master's server certificate carries, whatever the address in its URL.
pub const MASTER_NAME: &str = "master.slapbox.internal";

/// Text sent for a missing value in a form: the original client sends Python's `None`.
pub const NONE_TEXT: &str = "None";
