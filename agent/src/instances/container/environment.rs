//! What a stock image is told: the instance's parameters as its environment, as the field configures images. Pure.
//!
//! Each parameter is a variable of its name. One named `_` is how SlapOS serialises parameters that are no texts
//! (`json-in-xml`): a JSON object, each of whose members is a variable; what is neither text, number nor truth value is
//! given as JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::instances::redirect;
use crate::{devices, firewall};

/// The instance's parameters cannot be an image's environment.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    #[error(
        "its parameter `{0}` cannot be a variable of an image's environment: the name must be letters, digits and `_`, and not begin with a digit"
    )]
    Name(String),
    #[error(
        "its parameter `{0}` has the name of what the node tells it: `{RESERVED}…` is reserved"
    )]
    Reserved(String),
    #[error("its parameter `{0}` has a byte that ends texts")]
    Value(String),
    #[error("its parameter `_` is not a JSON object")]
    Serialised(#[source] serde_json::Error),
}

/// How parameters that are no texts are named.
const SERIALISED: &str = "_";
/// What begins so is the node's word.
const RESERVED: &str = "SLAPOS_";

/// Files in which releases ask the node for more. What a stock image should have of it, its requester asks for in
/// parameters of these names.
pub const WISHES: [&str; 3] = [devices::FILE, firewall::FILE, redirect::FILE];

/// Returns what is asked for, by the file that it belongs into.
pub fn wishes(
    parameters: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, EnvironmentError> {
    let mut all = members(parameters)?;
    all.retain(|name, _| WISHES.contains(&name.as_str()));
    Ok(all)
}

/// Returns the variables that the parameters are.
pub fn environment(
    parameters: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, EnvironmentError> {
    let mut all = members(parameters)?;
    all.retain(|name, _| !WISHES.contains(&name.as_str()));
    match all
        .iter()
        .find_map(|(name, value)| check(name, value).err())
    {
        Some(error) => Err(error),
        None => Ok(all),
    }
}

fn members(
    parameters: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, EnvironmentError> {
    let mut all = BTreeMap::new();
    for (name, value) in parameters {
        if name == SERIALISED {
            let members: Map<String, Value> =
                serde_json::from_str(value).map_err(EnvironmentError::Serialised)?;
            let members = members.into_iter();
            all.extend(members.map(|(name, value)| (name, text(value))));
        } else {
            all.insert(name.clone(), value.clone());
        }
    }
    Ok(all)
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn check(name: &str, value: &str) -> Result<(), EnvironmentError> {
    if !is_variable(name) {
        return Err(EnvironmentError::Name(name.to_owned()));
    }
    if name.starts_with(RESERVED) {
        return Err(EnvironmentError::Reserved(name.to_owned()));
    }
    if value.contains('\0') {
        return Err(EnvironmentError::Value(name.to_owned()));
    }
    Ok(())
}

/// Returns whether a program's environment may have the name.
pub(super) fn is_variable(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(allowed) && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causes::in_one_line;

    fn of(parameters: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let parameters = parameters.iter();
        let parameters = parameters.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        match environment(&parameters.collect()) {
            Ok(all) => Ok(all
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect()),
            Err(error) => Err(in_one_line(&error)),
        }
    }

    #[test]
    fn parameters_become_variables() {
        assert_eq!(
            of(&[
                ("POSTGRES_PASSWORD", "a=b"),
                ("_", r#"{"n": 3, "on": true, "s": "x", "l": [1]}"#)
            ]),
            Ok(["POSTGRES_PASSWORD=a=b", "l=[1]", "n=3", "on=true", "s=x"]
                .map(String::from)
                .to_vec())
        );
        assert_eq!(of(&[]), Ok(Vec::new()));
    }

    #[test]
    fn what_is_asked_of_the_node_is_no_variable() {
        let name = crate::devices::FILE;
        let members = format!(r#"{{"{name}": [{{"disk": "/dev/sdb"}}], "n": 3}}"#);
        for (parameter, value) in [(name, r#"[{"disk":"/dev/sdb"}]"#), ("_", &members)] {
            let parameters = BTreeMap::from([(parameter.to_owned(), value.to_owned())]);
            let wishes = wishes(&parameters).unwrap();
            assert_eq!(wishes[name], r#"[{"disk":"/dev/sdb"}]"#);
            assert_eq!(wishes.len(), 1);
            assert!(!environment(&parameters).unwrap().contains_key(name));
        }
    }

    #[test]
    fn what_cannot_be_a_variable_is_refused_in_words() {
        for (name, value, words) in [
            (
                "my-name",
                "x",
                "its parameter `my-name` cannot be a variable",
            ),
            ("1st", "x", "its parameter `1st` cannot be a variable"),
            ("", "x", "its parameter `` cannot be a variable"),
            (
                "SLAPOS_IPV6",
                "::1",
                "its parameter `SLAPOS_IPV6` has the name of what the node",
            ),
            ("A", "x\0y", "its parameter `A` has a byte that ends texts"),
            ("_", "[1]", "its parameter `_` is not a JSON object: "),
            (
                "_",
                r#"{"a b": 1}"#,
                "its parameter `a b` cannot be a variable",
            ),
        ] {
            let said = of(&[(name, value)]).unwrap_err();
            assert!(said.starts_with(words), "{said}");
        }
    }
}
