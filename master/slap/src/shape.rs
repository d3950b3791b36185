//! Reads typed objects out of marshalled values: takes attributes by name and says which one is not what it should be.

use std::collections::BTreeMap;

use crate::value::{Class, Value};

/// A value that is well formed and not what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct ShapeError {
    path: String,
    problem: String,
}

impl ShapeError {
    pub(crate) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            problem: problem.into(),
        }
    }

    /// Returns the error as one of something inside `outer`.
    pub(crate) fn inside(mut self, outer: &str) -> Self {
        self.path = format!("{outer}.{}", self.path);
        self
    }
}

/// The attributes of an object or the entries of a dictionary that are yet to be read.
#[derive(Debug)]
pub(crate) struct Fields {
    of: String,
    entries: BTreeMap<String, Value>,
}

impl Fields {
    pub(crate) fn of_object(value: Value, class: Class) -> Result<Self, ShapeError> {
        if let Value::Object(object) = value {
            if object.class == class {
                return Ok(Self {
                    of: class.to_string(),
                    entries: object.state,
                });
            }
            return Err(ShapeError::new(
                class.as_str(),
                format!("expected such an object, found one of {}", object.class),
            ));
        }
        Err(expected(class.as_str(), "such an object", &value))
    }

    pub(crate) fn of_dict(value: Value, of: &str) -> Result<Self, ShapeError> {
        let Value::Dict(entries) = value else {
            return Err(expected(of, "a dictionary", &value));
        };
        Ok(Self {
            of: of.to_owned(),
            entries,
        })
    }

    pub(crate) fn rest(self) -> BTreeMap<String, Value> {
        self.entries
    }

    /// Takes an attribute; one that is none is one that is not there.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        self.entries
            .remove(key)
            .filter(|value| *value != Value::None)
    }

    /// Takes a text; numbers are taken as text too, since peers differ in which of them they send as such.
    pub(crate) fn text(&mut self, key: &str) -> Result<Option<String>, ShapeError> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => match value.scalar_text() {
                Some(text) => Ok(Some(text)),
                None => Err(expected(&self.path(key), "a text", &value)),
            },
        }
    }

    /// Takes a text and parses it.
    pub(crate) fn parsed<T>(&mut self, key: &str) -> Result<Option<T>, ShapeError>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        match text.parse() {
            Ok(parsed) => Ok(Some(parsed)),
            Err(problem) => Err(ShapeError::new(self.path(key), problem.to_string())),
        }
    }

    /// Takes a sequence; one that is not there is empty.
    pub(crate) fn items(&mut self, key: &str) -> Result<Vec<Value>, ShapeError> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(value) => items(value, &self.path(key)),
        }
    }

    /// Takes a dictionary of texts; one that is not there is empty.
    pub(crate) fn texts(&mut self, key: &str) -> Result<BTreeMap<String, String>, ShapeError> {
        match self.take(key) {
            None => Ok(BTreeMap::new()),
            Some(value) => texts(value, &self.path(key)),
        }
    }

    /// Takes what cannot be missing.
    pub(crate) fn required<T>(&self, key: &str, found: Option<T>) -> Result<T, ShapeError> {
        found.ok_or_else(|| ShapeError::new(self.path(key), "is missing"))
    }

    fn path(&self, key: &str) -> String {
        format!("{}.{key}", self.of)
    }
}

pub(crate) fn items(value: Value, path: &str) -> Result<Vec<Value>, ShapeError> {
    let (Value::List(items) | Value::Tuple(items) | Value::Set(items)) = value else {
        return Err(expected(path, "a list", &value));
    };
    Ok(items)
}

/// Returns a dictionary of texts; an empty one may come as nothing, and nothing inside as an empty text.
pub(crate) fn texts(value: Value, path: &str) -> Result<BTreeMap<String, String>, ShapeError> {
    let text = |(key, value): (String, Value)| {
        if value == Value::None {
            return Ok((key, String::new()));
        }
        match value.scalar_text() {
            Some(text) => Ok((key, text)),
            None => Err(expected(&format!("{path}.{key}"), "a text", &value)),
        }
    };
    if value == Value::None {
        return Ok(BTreeMap::new());
    }
    let Value::Dict(entries) = value else {
        return Err(expected(path, "a dictionary", &value));
    };
    entries.into_iter().map(text).collect()
}

pub(crate) fn expected(path: &str, what: &str, found: &Value) -> ShapeError {
    let kind = match found {
        Value::None => "nothing",
        Value::Bool(_) => "a bool",
        Value::Int(_) => "an int",
        Value::Float(_) => "a float",
        Value::String(_) => "a text",
        Value::Tuple(_) => "a tuple",
        Value::List(_) => "a list",
        Value::Dict(_) => "a dictionary",
        Value::Set(_) => "a set",
        Value::Object(_) => "an object",
    };
    ShapeError::new(path, format!("expected {what}, found {kind}"))
}
