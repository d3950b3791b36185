//! What the master wants of this node, in types that cannot say anything invalid.
//!
//! Built from the protocol's types once; what is wrong in there is set aside in words, a partition at a time. No I/O.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Everything that the master wants of this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// The releases that shall be installed, or removed.
    pub software: BTreeMap<SoftwareUrl, SoftwareState>,
    /// The instances, by the partition they are in.
    pub partitions: BTreeMap<PartitionName, Instance>,
    /// What could not be understood, by partition (or release) as the master named it.
    pub refused: BTreeMap<String, String>,
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

/// What shall be of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SoftwareState {
    Available,
    Destroyed,
}

/// What shall be of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceState {
    Started,
    Stopped,
    Destroyed,
}

/// One configured run of a release in a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub state: InstanceState,
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
    /// Its addresses with the interface each is on.
    pub ip_list: Vec<(String, String)>,
    /// What the master knows as published.
    pub connection: BTreeMap<String, String>,
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
