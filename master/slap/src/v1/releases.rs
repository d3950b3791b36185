//! Software releases that the master itself serves, under `/releases/NAME`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name of a published release: 1 to 100 of `A-Za-z0-9._-`, the first a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseName(String);

/// A text that cannot name a release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot name a release: 1 to 100 letters, digits, `.`, `_`, `-`, the first a letter or a digit"
)]
pub struct ReleaseNameError(String);

impl ReleaseName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ReleaseName {
    type Err = ReleaseNameError;

    fn from_str(text: &str) -> Result<Self, ReleaseNameError> {
        let is_right = text.len() <= 100
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        if is_right {
            Ok(Self(text.to_owned()))
        } else {
            Err(ReleaseNameError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for ReleaseName {
    type Error = ReleaseNameError;

    fn try_from(text: String) -> Result<Self, ReleaseNameError> {
        text.parse()
    }
}

impl From<ReleaseName> for String {
    fn from(name: ReleaseName) -> Self {
        name.0
    }
}

impl fmt::Display for ReleaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A published release; the answer to `PUT /v1/releases/NAME` and an entry of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its name.
    pub name: ReleaseName,
    /// What to supply and request it by.
    pub url: String,
    /// Of its bytes, in hexadecimal.
    pub sha256: String,
    /// How many bytes it has.
    pub size: u64,
    /// When it was published, in seconds since 1970.
    #[serde(default)]
    pub published_at: i64,
    /// Who published it.
    #[serde(default)]
    pub published_by: String,
}

/// `GET /v1/releases`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Releases {
    /// Sorted by name.
    pub releases: Vec<Release>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_never_named_as_a_path() {
        for bad in [
            "",
            ".",
            "..",
            ".hidden",
            "-x",
            "a/b",
            "a b",
            "é",
            &"x".repeat(101),
        ] {
            assert!(bad.parse::<ReleaseName>().is_err(), "{bad:?}");
        }
        assert!("demo-1.0_x.oci.tar".parse::<ReleaseName>().is_ok());
    }
}
