//! `softwareInstanceRename`: another title for an instance.

use super::{Fields, FormError, InstanceForm, Pairs};
use crate::id::Title;

/// The wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenameForm {
    /// Which instance.
    pub instance: InstanceForm,
    /// Its new title.
    pub title: Title,
    /// Which of those that share the instance, if one of them is meant.
    pub shared: Option<String>,
}

impl RenameForm {
    /// Returns the form's fields.
    pub fn to_pairs(&self) -> Pairs {
        let mut pairs = self.instance.to_pairs();
        pairs.push(("new_name", self.title.to_string()));
        if let Some(shared) = &self.shared {
            pairs.push(("slave_reference", shared.clone()));
        }
        pairs
    }

    /// Reads the form's fields.
    pub fn from_fields(mut fields: Fields) -> Result<Self, FormError> {
        Ok(Self {
            instance: InstanceForm::take(&mut fields)?,
            title: fields.id("new_name")?,
            shared: fields.optional("slave_reference"),
        })
    }
}
