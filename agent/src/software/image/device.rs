//! Devices of the node that an image asks for: its label `org.slapbox.devices`, their names separated by commas.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A device that programs of a release may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Device {
    /// Runs virtual machines on the processor. Who may open it is the node's group `kvm`, where it has the device.
    Kvm,
    /// Attaches to the partition's own tap; to make an interface, or to attach to another's, takes a privilege that no program has.
    Tun,
}

/// A text that is no device.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("its image asks for the device `{0}`, and may ask for `kvm` and `tun` only")]
pub struct NotADevice(String);

const LABEL: &str = "org.slapbox.devices";

impl Device {
    /// Returns where it is.
    pub fn path(self) -> &'static str {
        match self {
            Self::Kvm => "/dev/kvm",
            Self::Tun => "/dev/net/tun",
        }
    }
}

impl FromStr for Device {
    type Err = NotADevice;

    fn from_str(text: &str) -> Result<Self, NotADevice> {
        match text {
            "kvm" => Ok(Self::Kvm),
            "tun" => Ok(Self::Tun),
            _ => Err(NotADevice(text.to_owned())),
        }
    }
}

pub(super) fn all<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeSet<Device>, D::Error> {
    let labels: Option<BTreeMap<String, String>> = Option::deserialize(deserializer)?;
    let Some(names) = labels.and_then(|mut labels| labels.remove(LABEL)) else {
        return Ok(BTreeSet::new());
    };
    let names = names.split(',').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(|name| name.parse().map_err(D::Error::custom))
        .collect()
}
