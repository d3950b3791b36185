//! The values that SLAP marshals: what Python's can be and nothing else, as plain data.

use std::collections::BTreeMap;
use std::fmt;

/// A marshalled value. References are resolved by reading, so there are none here.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    None,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    String(String),
    /// A sequence of fixed length.
    Tuple(Vec<Value>),
    /// A sequence.
    List(Vec<Value>),
    /// Values by name. Keys that are numbers become text on reading, as every master makes them.
    Dict(BTreeMap<String, Value>),
    /// Values without an order, in the order in which they were written.
    Set(Vec<Value>),
    /// One of the four objects that SLAP knows.
    Object(Object),
}

/// An object: what makes it, and what it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// What it is.
    pub class: Class,
    /// What its class is called with.
    pub init: Vec<Value>,
    /// Its attributes.
    pub state: BTreeMap<String, Value>,
}

/// The objects that may travel. A reader makes no other, whatever a peer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// See [`crate::Computer`].
    Computer,
    /// See [`crate::ComputerPartition`].
    ComputerPartition,
    /// See [`crate::SoftwareRelease`].
    SoftwareRelease,
    /// See [`crate::SoftwareInstance`].
    SoftwareInstance,
}

/// The Python module that the four classes live in.
pub(crate) const MODULE: &str = "slapos.slap.slap";

impl Class {
    /// Returns the name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Computer => "Computer",
            Self::ComputerPartition => "ComputerPartition",
            Self::SoftwareRelease => "SoftwareRelease",
            Self::SoftwareInstance => "SoftwareInstance",
        }
    }

    /// Returns the class with this module and name, if it may travel.
    pub(crate) fn allowed(module: &str, name: &str) -> Option<Self> {
        let all = [
            Self::Computer,
            Self::ComputerPartition,
            Self::SoftwareRelease,
            Self::SoftwareInstance,
        ];
        all.into_iter()
            .find(|class| module == MODULE && class.as_str() == name)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Value {
    /// Returns a dictionary of texts.
    pub fn texts(entries: &BTreeMap<String, String>) -> Self {
        Self::Dict(
            entries
                .iter()
                .map(|(key, text)| (key.clone(), Self::String(text.clone())))
                .collect(),
        )
    }

    /// Returns the text that a master makes of a parameter's value, or nothing for a container.
    pub fn scalar_text(&self) -> Option<String> {
        match self {
            Self::None => Some("None".to_owned()),
            Self::Bool(true) => Some("True".to_owned()),
            Self::Bool(false) => Some("False".to_owned()),
            Self::Int(number) => Some(number.to_string()),
            Self::Float(number) => Some(float_text(*number)),
            Self::String(text) => Some(text.clone()),
            Self::Tuple(_) | Self::List(_) | Self::Dict(_) | Self::Set(_) | Self::Object(_) => None,
        }
    }

    /// Returns the value as JSON; what JSON has not becomes a list, an object its attributes, a number that is none null.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::None => Json::Null,
            Self::Bool(yes) => Json::Bool(*yes),
            Self::Int(number) => Json::from(*number),
            Self::Float(number) => Json::from(*number),
            Self::String(text) => Json::String(text.clone()),
            Self::Tuple(items) | Self::List(items) | Self::Set(items) => {
                Json::Array(items.iter().map(Self::to_json).collect())
            }
            Self::Dict(entries) | Self::Object(Object { state: entries, .. }) => Json::Object(
                entries
                    .iter()
                    .map(|(key, value)| (key.clone(), value.to_json()))
                    .collect(),
            ),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::None, Self::String)
    }
}

/// Returns entries of a dictionary or attributes of an object.
pub(crate) fn entries<const N: usize>(entries: [(&str, Value); N]) -> BTreeMap<String, Value> {
    entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// Returns a number as Python's `repr` writes it: the shortest digits, an exponent outside 1e-4 to 1e16.
pub(crate) fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        return format!("{number:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_as_python_does() {
        for (number, text) in [
            (1.5, "1.5"),
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.25e22, "1.25e+22"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (1.5e-300, "1.5e-300"),
            (1_795_209_278.47, "1795209278.47"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(float_text(number), text);
        }
    }

    #[test]
    fn no_other_class_may_travel() {
        assert_eq!(Class::allowed(MODULE, "Computer"), Some(Class::Computer));
        assert_eq!(Class::allowed("os", "system"), None);
        assert_eq!(Class::allowed("os", "Computer"), None);
        assert_eq!(Class::allowed(MODULE, "Supply"), None);
    }
}
