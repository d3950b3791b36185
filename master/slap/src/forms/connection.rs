//! `setComputerPartitionConnectionXml`: what an instance publishes.

use std::collections::BTreeMap;

use super::{Fields, FormError, InstanceForm, Pairs};
use crate::shape;
use crate::value::Value;
use crate::xml;

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionForm {
    /// By which instance.
    pub instance: InstanceForm,
    /// The parameters; they replace those published before.
    pub connection: BTreeMap<String, String>,
    /// For which of those that share the instance, if for one.
    pub shared: Option<String>,
}

impl ConnectionForm {
    /// Returns the form's fields.
    pub fn to_pairs(&self) -> Pairs {
        let mut pairs = self.instance.to_pairs();
        pairs.push((
            "connection_xml",
            xml::write(&Value::texts(&self.connection)),
        ));
        let shared = self.shared.as_deref().unwrap_or(crate::NONE_TEXT);
        pairs.push(("slave_reference", shared.to_owned()));
        pairs
    }

    /// Reads the form's fields.
    pub fn from_fields(mut fields: Fields) -> Result<Self, FormError> {
        let field = "connection_xml";
        let value = xml::read(&fields.required(field)?)
            .map_err(|err| FormError::Unreadable { field, err })?;
        Ok(Self {
            instance: InstanceForm::take(&mut fields)?,
            connection: shape::texts(value, field)
                .map_err(|err| FormError::Unexpected { field, err })?,
            shared: fields.optional("slave_reference"),
        })
    }
}
