//! Names the folder of a release. Pure.

use std::fmt;

use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use crate::desired::SoftwareUrl;

/// The MD5 of a release's URL in 32 hexadecimal digits, as the peer has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseId(String);

/// A text that is no such name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` does not name a release: it must be 32 hexadecimal digits")]
pub struct NotARelease(String);

/// As many digits as an MD5 has.
pub(super) const DIGITS: usize = 32;

impl ReleaseId {
    /// Returns the name of the release that a URL names.
    pub fn of(url: &SoftwareUrl) -> Self {
        let digest = Md5::digest(url.as_str());
        Self(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Returns it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Says whether a text is an MD5 as it is written here.
pub(super) fn is_digest(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(is_digit)
}

/// Says whether a byte is a hexadecimal digit as they are written here.
pub(super) fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ReleaseId {
    type Error = NotARelease;

    fn try_from(text: String) -> Result<Self, NotARelease> {
        if is_digest(&text) {
            Ok(Self(text))
        } else {
            Err(NotARelease(text))
        }
    }
}

impl From<ReleaseId> for String {
    fn from(id: ReleaseId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_named_as_by_the_peer() {
        let id = ReleaseId::of(&SoftwareUrl::new("https://x/software.cfg"));
        assert_eq!(id.as_str(), "5ce657fa495d74fef802f303afb90f82");
        assert_eq!(ReleaseId::try_from(id.to_string()), Ok(id));
        for odd in ["", ".shared", "5CE657FA495D74FEF802F303AFB90F82", "5ce6"] {
            let refused = ReleaseId::try_from(odd.to_owned());
            assert_eq!(refused, Err(NotARelease(odd.to_owned())));
        }
    }
}
