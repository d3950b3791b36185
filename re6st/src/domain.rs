//! The name of a network, with which the names of its nodes end.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that no network can be called.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not the name of a network: words of the letters a to z, digits and `-`, with dots between them, {LONGEST} characters at most"
)]
pub struct NotADomain(String);

/// What a name of DNS may have, less what comes before it: a partition and a node.
const LONGEST: usize = 160;

/// `slapbox.internal`: in small letters, without a dot at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Domain(String);

impl Domain {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Domain {
    /// Returns a name that nobody else has: `internal` is of no registry of the Internet.
    fn default() -> Self {
        Self("slapbox.internal".to_owned())
    }
}

impl FromStr for Domain {
    type Err = NotADomain;

    fn from_str(text: &str) -> Result<Self, NotADomain> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if name.len() <= LONGEST && name.split('.').all(is_label) {
            Ok(Self(name))
        } else {
            Err(NotADomain(text.to_owned()))
        }
    }
}

/// Whether a word, in small letters, may be between two dots of a host's name (RFC 1123, 2.1).
pub(crate) fn is_label(word: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_inside = !word.starts_with('-') && !word.ends_with('-');
    (1..=63).contains(&word.len()) && is_inside && word.bytes().all(good)
}

impl TryFrom<String> for Domain {
    type Error = NotADomain;

    fn try_from(text: String) -> Result<Self, NotADomain> {
        text.parse()
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_called_as_hosts_are() {
        let good = |text: &str| text.parse::<Domain>().unwrap().0;
        assert_eq!(good("Cloud.Example.ORG."), "cloud.example.org");
        assert_eq!(good("internal"), "internal");
        for text in [
            "", ".", "a..b", "a b", "-a.b", "a-.b", "a_b.c", "ä.b", "~.", "a\n.b",
        ] {
            let refusal = text.parse::<Domain>().unwrap_err();
            assert_eq!(refusal, NotADomain(text.to_owned()));
        }
        let long = ["a"; 81].join(".");
        assert!(long.parse::<Domain>().is_err(), "161 characters");
        assert!("a".repeat(64).parse::<Domain>().is_err());
    }
}
