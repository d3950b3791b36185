//! `KEY=VALUE`, as parameters, conditions and labels are typed.

use std::collections::BTreeMap;
use std::str::FromStr;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) key: String,
    pub(crate) value: String,
}

#[derive(Debug, thiserror::Error)]
#[error("expected KEY=VALUE")]
pub(crate) struct NoAssignment;

/// A key that was given two values.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is given twice")]
pub(crate) struct GivenTwice(String);

impl FromStr for Assignment {
    type Err = NoAssignment;

    fn from_str(text: &str) -> Result<Self, NoAssignment> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => Ok(Self {
                key: key.trim().to_owned(),
                value: value.to_owned(),
            }),
            _ => Err(NoAssignment),
        }
    }
}

/// Returns the values by key.
pub(crate) fn by_key(assignments: Vec<Assignment>) -> Result<BTreeMap<String, String>, GivenTwice> {
    let mut values = BTreeMap::new();
    for Assignment { key, value } in assignments {
        if values.insert(key.clone(), value).is_some() {
            return Err(GivenTwice(key));
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(texts: &[&str]) -> Result<BTreeMap<String, String>, GivenTwice> {
        by_key(texts.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn a_value_may_be_empty_or_have_signs_of_equality() {
        let values = given(&["a=", "b=c=d", " e = f"]).unwrap();
        assert_eq!(values["a"], "");
        assert_eq!(values["b"], "c=d");
        assert_eq!(values["e"], " f");
    }

    #[test]
    fn a_key_has_one_value() {
        assert_eq!(
            given(&["a=1", "a=2"]).unwrap_err().to_string(),
            "`a` is given twice"
        );
    }
}
