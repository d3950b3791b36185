//! `supplySupply`: a release shall be on a computer, or shall leave it.

use super::{Fields, FormError, Pairs};
use crate::id::ComputerId;
use crate::state::SupplyState;

/// The wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupplyForm {
    /// The release.
    pub url: String,
    /// Where.
    pub computer: ComputerId,
    /// What it shall be there.
    pub state: SupplyState,
}

impl SupplyForm {
    /// Returns the form's fields.
    pub fn to_pairs(&self) -> Pairs {
        vec![
            ("url", self.url.clone()),
            ("computer_id", self.computer.to_string()),
            ("state", self.state.to_string()),
        ]
    }

    /// Reads the form's fields. Without a state the release shall be available.
    pub fn from_fields(mut fields: Fields) -> Result<Self, FormError> {
        Ok(Self {
            url: fields.required("url")?,
            computer: fields.id("computer_id")?,
            state: match fields.optional("state") {
                None => SupplyState::Available,
                Some(text) => text.parse().map_err(|err| FormError::BadState {
                    field: "state",
                    err,
                })?,
            },
        })
    }
}
