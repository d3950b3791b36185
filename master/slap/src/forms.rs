//! What is posted: the fields of each form, as the original client sends them. One type a form, to pairs and back.

use std::collections::BTreeMap;

use crate::id::IdError;
use crate::shape::ShapeError;
use crate::state::StateError;
use crate::xml::XmlError;

mod connection;
mod rename;
mod reports;
mod request;
mod supply;

pub use connection::ConnectionForm;
pub use rename::RenameForm;
pub use reports::{BangForm, ErrorForm, InstanceForm, SoftwareErrorForm, SoftwareForm, UsageForm};
pub use request::{RequestForm, Requester};
pub use supply::SupplyForm;

/// The fields of a form, in the order in which they are sent.
pub type Pairs = Vec<(&'static str, String)>;

/// Why a form cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// A field that must be there.
    #[error("field `{0}` is missing")]
    Missing(&'static str),
    /// A name that is none.
    #[error("field `{field}` is wrong")]
    BadId {
        /// Which field.
        field: &'static str,
        /// Why.
        #[source]
        err: IdError,
    },
    /// A state that is none.
    #[error("field `{field}` is wrong")]
    BadState {
        /// Which field.
        field: &'static str,
        /// Why.
        #[source]
        err: StateError,
    },
    /// A marshalled value that cannot be read.
    #[error("field `{field}` cannot be read")]
    Unreadable {
        /// Which field.
        field: &'static str,
        /// Why.
        #[source]
        err: XmlError,
    },
    /// A marshalled value of another kind.
    #[error("field `{field}` is not what was expected")]
    Unexpected {
        /// Which field.
        field: &'static str,
        /// Why.
        #[source]
        err: ShapeError,
    },
}

/// The fields that came, by name. The original client sends `None` for what it has not; so do the values of these.
#[derive(Clone, Debug, Default)]
pub struct Fields(BTreeMap<String, String>);

impl FromIterator<(String, String)> for Fields {
    /// Of a field that comes twice, the last counts.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl Fields {
    /// Takes a field that may be absent, empty or `None`, which are all the same.
    pub fn optional(&mut self, field: &str) -> Option<String> {
        self.0
            .remove(field)
            .filter(|text| !text.is_empty() && !text.eq_ignore_ascii_case(crate::NONE_TEXT))
    }

    /// Takes a field that must be there. Here `None` is a text like another.
    pub fn required(&mut self, field: &'static str) -> Result<String, FormError> {
        self.0
            .remove(field)
            .filter(|text| !text.is_empty())
            .ok_or(FormError::Missing(field))
    }

    /// Takes a field that must be there and names something.
    pub fn id<T>(&mut self, field: &'static str) -> Result<T, FormError>
    where
        T: TryFrom<String, Error = IdError>,
    {
        T::try_from(self.required(field)?).map_err(|err| FormError::BadId { field, err })
    }

    /// Takes a text of any length, maybe none: a message, a log. NUL becomes U+FFFD: no database keeps it, and the rest is wanted.
    pub fn text(&mut self, field: &str) -> String {
        let text = self.0.remove(field).unwrap_or_default();
        text.replace('\0', "\u{fffd}")
    }
}

#[cfg(test)]
mod tests;
