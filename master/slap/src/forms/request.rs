//! `requestComputerPartition`: there shall be an instance like this.

use std::collections::BTreeMap;

use super::{Fields, FormError, InstanceForm, Pairs};
use crate::id::{ProjectName, Title};
use crate::shape::{self, ShapeError, expected};
use crate::state::RequestedState;
use crate::value::Value;
use crate::xml;

/// The type that is meant when none is named.
pub(crate) const DEFAULT_TYPE: &str = "default";

/// The wish. Its title is its identity: asked again, it changes what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestForm {
    /// Who asks, when it is an instance that asks for a child.
    pub requester: Option<Requester>,
    /// The release.
    pub software_url: String,
    /// Which of its types.
    pub software_type: String,
    /// What the requester calls it.
    pub title: Title,
    /// Whether a share of somebody's instance is meant.
    pub shared: bool,
    /// What to configure it with.
    pub parameters: BTreeMap<String, String>,
    /// Conditions on where it may be: `computer_guid`, …
    pub filter: BTreeMap<String, String>,
    /// What it shall be; nothing means started when it is new.
    pub state: Option<RequestedState>,
    /// The project whose nodes it may be on; nothing where it is clear from the rest.
    pub project: Option<ProjectName>,
}

/// An instance that asks.
pub type Requester = InstanceForm;

impl RequestForm {
    /// Returns the form's fields.
    pub fn to_pairs(&self) -> Pairs {
        let mut pairs = self
            .requester
            .as_ref()
            .map(InstanceForm::to_pairs)
            .unwrap_or_default();
        let state = self
            .state
            .map_or(Value::None, |state| Value::from(state.as_str()));
        pairs.extend([
            ("software_release", self.software_url.clone()),
            ("software_type", self.software_type.clone()),
            ("partition_reference", self.title.to_string()),
            ("shared_xml", xml::write(&Value::Bool(self.shared))),
            (
                "partition_parameter_xml",
                xml::write(&Value::texts(&self.parameters)),
            ),
            ("filter_xml", xml::write(&Value::texts(&self.filter))),
            ("state", xml::write(&state)),
        ]);
        pairs.extend(
            self.project
                .iter()
                .map(|it| ("project_reference", it.to_string())),
        );
        pairs
    }

    /// Reads the form's fields.
    pub fn from_fields(mut fields: Fields) -> Result<Self, FormError> {
        let requester = match fields.optional("computer_id") {
            None => None,
            Some(computer) => Some(Requester {
                computer: computer.parse().map_err(|err| FormError::BadId {
                    field: "computer_id",
                    err,
                })?,
                partition: fields.id("computer_partition_id")?,
            }),
        };
        let project = match fields.optional("project_reference") {
            None => None,
            Some(project) => Some(project.parse().map_err(|err| FormError::BadId {
                field: "project_reference",
                err,
            })?),
        };
        Ok(Self {
            requester,
            project,
            software_url: fields.required("software_release")?,
            software_type: fields
                .optional("software_type")
                .unwrap_or_else(|| DEFAULT_TYPE.to_owned()),
            title: fields.id("partition_reference")?,
            shared: marshalled(&mut fields, "shared_xml", truth)?.unwrap_or(false),
            parameters: marshalled(&mut fields, "partition_parameter_xml", shape::texts)?
                .unwrap_or_default(),
            filter: marshalled(&mut fields, "filter_xml", shape::texts)?.unwrap_or_default(),
            state: marshalled(&mut fields, "state", state)?.flatten(),
        })
    }
}

fn marshalled<T>(
    fields: &mut Fields,
    field: &'static str,
    read: fn(Value, &str) -> Result<T, ShapeError>,
) -> Result<Option<T>, FormError> {
    let Some(text) = fields.optional(field) else {
        return Ok(None);
    };
    let value = xml::read(&text).map_err(|err| FormError::Unreadable { field, err })?;
    read(value, field)
        .map(Some)
        .map_err(|err| FormError::Unexpected { field, err })
}

fn truth(value: Value, field: &str) -> Result<bool, ShapeError> {
    if let Value::Bool(yes) = value {
        return Ok(yes);
    }
    if value == Value::None {
        return Ok(false);
    }
    match value.scalar_text().as_deref() {
        Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(_) | None => Err(expected(field, "a bool", &value)),
    }
}

fn state(value: Value, field: &str) -> Result<Option<RequestedState>, ShapeError> {
    if value == Value::None {
        return Ok(None);
    }
    let Value::String(text) = value else {
        return Err(expected(field, "a text or nothing", &value));
    };
    match text.parse() {
        Ok(state) => Ok(Some(state)),
        Err(problem) => Err(ShapeError::new(
            field,
            crate::state::StateError::to_string(&problem),
        )),
    }
}
