//! The ports that an image says it listens on: `ExposedPorts`, an object with keys like `80/tcp`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};

/// A port that an image listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    pub transport: Transport,
    pub number: u16,
}

/// How a port is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    Tcp,
    Udp,
    Sctp,
}

/// A text that is no port.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a port (they are written 80, 80/tcp, 53/udp or 3868/sctp)")]
pub struct NotAPort(String);

impl FromStr for Port {
    type Err = NotAPort;

    fn from_str(text: &str) -> Result<Self, NotAPort> {
        let not = || NotAPort(text.to_owned());
        let (number, transport) = text.split_once('/').unwrap_or((text, "tcp"));
        let transport = match transport {
            "tcp" => Transport::Tcp,
            "udp" => Transport::Udp,
            "sctp" => Transport::Sctp,
            _ => return Err(not()),
        };
        let number = number.parse().map_err(|_| not())?;
        (number != 0)
            .then_some(Self { transport, number })
            .ok_or_else(not)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.transport)
    }
}

pub(super) fn all<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<Port>, D::Error> {
    let named: Option<BTreeMap<String, IgnoredAny>> = Option::deserialize(deserializer)?;
    let named = named.unwrap_or_default().into_keys();
    named
        .map(|name| name.parse().map_err(D::Error::custom))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_a_number_and_mostly_a_transport() {
        for (text, written) in [("80", "80/tcp"), ("53/udp", "53/udp")] {
            assert_eq!(text.parse::<Port>().unwrap().to_string(), written);
        }
        for text in ["", "0", "70000", "80/http", "80-90", "/tcp"] {
            let error = text.parse::<Port>().unwrap_err();
            assert_eq!(error, NotAPort(text.to_owned()), "{text}");
        }
    }
}
