//! Names of things: newtypes, so that one is never taken for another. None can be a path or carry a space.

use std::fmt;
use std::str::FromStr;

/// A text that cannot be a name of this kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` cannot name a {kind}: {rule}")]
pub struct IdError {
    kind: &'static str,
    text: String,
    rule: &'static str,
}

const REFERENCE_RULE: &str =
    "1 to 128 letters, digits, `.`, `_`, `-`, the first a letter or a digit";

fn is_reference(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

const TITLE_RULE: &str = "1 to 255 characters, none of them a control character";

fn is_title(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= 255 && !text.chars().any(char::is_control)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:ident, $rule:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses the name.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                if $check(&text) {
                    Ok(Self(text))
                } else {
                    Err(IdError { kind: $kind, text, rule: $rule })
                }
            }

            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

id!(
    /// A computer: `COMP-2` at our master and at the original one; other peers name theirs freely.
    ComputerId, "computer", is_reference, REFERENCE_RULE
);
id!(
    /// A partition of a computer: `slappart0`. It is also the name of a folder.
    PartitionId, "partition", is_reference, REFERENCE_RULE
);
id!(
    /// An instance: `SOFTINST-9`.
    InstanceGuid, "instance", is_reference, REFERENCE_RULE
);
id!(
    /// What the one who requested an instance calls it; with the tree it is the instance's identity.
    Title, "request", is_title, TITLE_RULE
);

id!(
    /// Somebody with a certificate who is no machine: an operator, a person or an organisation.
    UserName, "user", is_reference, REFERENCE_RULE
);
id!(
    /// What people, nodes and services belong to.
    ProjectName, "project", is_reference, REFERENCE_RULE
);

impl Default for ProjectName {
    /// Returns the project that every master has: where nodes and services are that nobody put elsewhere.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl ComputerId {
    /// Returns the id that a master gives to its `number`th computer.
    pub fn numbered(number: u64) -> Self {
        Self(format!("COMP-{number}"))
    }
}

impl InstanceGuid {
    /// Returns the id that a master gives to its `number`th instance.
    pub fn numbered(number: u64) -> Self {
        Self(format!("SOFTINST-{number}"))
    }
}

impl PartitionId {
    /// Returns the id of a node's partition by index.
    pub fn indexed(index: u16) -> Self {
        Self(format!("slappart{index}"))
    }

    /// Returns the index in `slappartN`, or nothing when the partition is not called so.
    pub fn index(&self) -> Option<u16> {
        let digits = self.0.strip_prefix("slappart")?;
        let index = digits.parse().ok()?;
        (Self::indexed(index) == *self).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_never_a_path() {
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "-x",
            "a b",
            "a\n",
            "é",
            &"x".repeat(129),
        ] {
            assert!(PartitionId::new(bad).is_err(), "{bad:?}");
        }
        for good in ["COMP-2", "slapref-node", "local_computer", "0", "a.b"] {
            assert!(ComputerId::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_title_may_be_prose_of_one_line() {
        assert!(Title::new("my child, née 2").is_ok());
        for bad in ["", "two\nlines", "\0"] {
            assert!(Title::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_index_of_a_partition_is_read_strictly() {
        let index = |text| PartitionId::new(text).unwrap().index();
        assert_eq!(index("slappart199"), Some(199));
        assert_eq!(index("slappart007"), None);
        assert_eq!(index("slappart70000"), None);
        assert_eq!(index("other1"), None);
    }

    #[test]
    fn a_refusal_says_the_rule() {
        let refused = ComputerId::new("a b").unwrap_err().to_string();
        assert_eq!(
            refused,
            "`a b` cannot name a computer: 1 to 128 letters, digits, `.`, `_`, `-`, the first a letter or a digit"
        );
    }
}
