//! What a node reports of software and instances; the path of the call says which report it is.

use super::{Fields, FormError, Pairs};
use crate::id::{ComputerId, PartitionId};

/// `buildingSoftwareRelease`, `availableSoftwareRelease`, `destroyedSoftwareRelease`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoftwareForm {
    /// The release.
    pub url: String,
    /// Where.
    pub computer: ComputerId,
}

/// `softwareReleaseError`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoftwareErrorForm {
    /// Which release where.
    pub software: SoftwareForm,
    /// What went wrong.
    pub log: String,
}

/// `startedComputerPartition`, `stoppedComputerPartition`, `destroyedComputerPartition`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceForm {
    /// Where.
    pub computer: ComputerId,
    /// Where there.
    pub partition: PartitionId,
}

/// `softwareInstanceError`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorForm {
    /// Which instance.
    pub instance: InstanceForm,
    /// What went wrong.
    pub log: String,
    /// With which of those that share the instance, if with one.
    pub shared: Option<String>,
}

/// `softwareInstanceBang`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BangForm {
    /// Which instance.
    pub instance: InstanceForm,
    /// Why its tree should be looked at again.
    pub message: String,
}

/// `useComputer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageForm {
    /// Who reports.
    pub computer: ComputerId,
    /// The document of a [`crate::Journal`].
    pub usage: String,
}

impl SoftwareForm {
    /// Returns the form's fields.
    pub fn to_pairs(&self) -> Pairs {
        vec![
            ("url", self.url.clone()),
            ("computer_id", self.computer.to_string()),
        ]
    }

    /// Reads the form's fields.
    pub fn from_fields(mut fields: Fields) -> Result<Self, FormError> {
        Self::take(&mut fields)
    }

    fn take(fields: &mut Fields) -> Result<Self, FormError> {
        Ok(Self {
            url: fields.required("url")?,
            computer: fields.id("computer_id")?,
        })
    }
}

impl SoftwareErrorForm {
    /// Returns the form's fields.
    pub fn to_pairs(&self) -> Pairs {
        let mut pairs = self.software.to_pairs();
        pairs.push(("error_log", self.log.clone()));
        pairs
    }

    /// Reads the form's fields.
    pub fn from_fields(mut fields: Fields) -> Result<Self, FormError> {
        Ok(Self {
            software: SoftwareForm::take(&mut fields)?,
            log: fields.text("error_log"),
        })
    }
}

impl InstanceForm {
    /// Returns the form's fields.
    pub fn to_pairs(&self) -> Pairs {
        vec![
            ("computer_id", self.computer.to_string()),
            ("computer_partition_id", self.partition.to_string()),
        ]
    }

    /// Reads the form's fields.
    pub fn from_fields(mut fields: Fields) -> Result<Self, FormError> {
        Self::take(&mut fields)
    }

    pub(super) fn take(fields: &mut Fields) -> Result<Self, FormError> {
        Ok(Self {
            computer: fields.id("computer_id")?,
            partition: fields.id("computer_partition_id")?,
        })
    }

    /// Returns the `Authorization` header that the original client sends with an instance's calls. It proves nothing.
    pub fn authorization(&self) -> String {
        format!(
            "X-SlapPartition computer_id={}, computer_partition_id={}",
            self.computer, self.partition
        )
    }

    /// Reads such a header; nothing when it is of another scheme.
    pub fn from_authorization(header: &str) -> Result<Option<Self>, FormError> {
        let (scheme, rest) = header
            .trim()
            .split_once(char::is_whitespace)
            .unwrap_or((header, ""));
        if !scheme.eq_ignore_ascii_case("X-SlapPartition") {
            return Ok(None);
        }
        let pairs = rest.split(',').filter_map(|it| it.split_once('='));
        let fields: Fields = pairs
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        Self::from_fields(fields).map(Some)
    }
}

impl ErrorForm {
    /// Returns the form's fields.
    pub fn to_pairs(&self) -> Pairs {
        let mut pairs = self.instance.to_pairs();
        pairs.push(("error_log", self.log.clone()));
        if let Some(shared) = &self.shared {
            pairs.push(("slave_reference", shared.clone()));
        }
        pairs
    }

    /// Reads the form's fields.
    pub fn from_fields(mut fields: Fields) -> Result<Self, FormError> {
        Ok(Self {
            instance: InstanceForm::take(&mut fields)?,
            log: fields.text("error_log"),
            shared: fields.optional("slave_reference"),
        })
    }
}

impl BangForm {
    /// Returns the form's fields.
    pub fn to_pairs(&self) -> Pairs {
        let mut pairs = self.instance.to_pairs();
        pairs.push(("message", self.message.clone()));
        pairs
    }

    /// Reads the form's fields.
    pub fn from_fields(mut fields: Fields) -> Result<Self, FormError> {
        Ok(Self {
            instance: InstanceForm::take(&mut fields)?,
            message: fields.text("message"),
        })
    }
}

impl UsageForm {
    /// Returns the form's fields.
    pub fn to_pairs(&self) -> Pairs {
        vec![
            ("computer_id", self.computer.to_string()),
            ("use_string", self.usage.clone()),
        ]
    }

    /// Reads the form's fields.
    pub fn from_fields(mut fields: Fields) -> Result<Self, FormError> {
        Ok(Self {
            computer: fields.id("computer_id")?,
            usage: fields.required("use_string")?,
        })
    }
}
