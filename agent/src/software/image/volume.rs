//! The places where an image keeps what shall outlive it: `Volumes`, an object whose keys are paths.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};

/// The absolute path of a volume, without `.`, `..` and empty parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Volume(String);

/// A text that cannot be a volume's path.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` cannot be a volume: it must be an absolute path without `..`, not `/` and not below /dev, /proc or /sys"
)]
pub struct NotAVolume(String);

/// What the kernel keeps there is not the image's.
const NOT_BELOW: [&str; 3] = ["dev", "proc", "sys"];

impl Volume {
    /// Returns the path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name of its directory in a partition: the path with `-` for `/`, as systemd names mounts.
    pub fn name(&self) -> String {
        self.0[1..].replace('/', "-")
    }
}

impl FromStr for Volume {
    type Err = NotAVolume;

    fn from_str(text: &str) -> Result<Self, NotAVolume> {
        let parts = text.split('/').filter(|part| !matches!(*part, "" | "."));
        let parts: Vec<_> = parts.collect();
        let odd = |text: &str| text.chars().any(char::is_control);
        let fits = text.starts_with('/')
            && !odd(text)
            && parts.iter().all(|part| *part != "..")
            && parts.first().is_some_and(|part| !NOT_BELOW.contains(part));
        fits.then(|| Self(format!("/{}", parts.join("/"))))
            .ok_or_else(|| NotAVolume(text.to_owned()))
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn all<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeSet<Volume>, D::Error> {
    let named: Option<BTreeMap<String, IgnoredAny>> = Option::deserialize(deserializer)?;
    let named = named.unwrap_or_default().into_keys();
    let volumes: BTreeSet<Volume> = named
        .map(|path| path.parse().map_err(D::Error::custom))
        .collect::<Result<_, _>>()?;
    let mut names = BTreeMap::new();
    for volume in &volumes {
        if let Some(other) = names.insert(volume.name(), volume) {
            return Err(D::Error::custom(format_args!(
                "the volumes `{other}` and `{volume}` cannot be told apart in a partition"
            )));
        }
    }
    Ok(volumes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_a_path_inside_the_image() {
        let volume: Volume = "//var/lib/./redis/".parse().unwrap();
        assert_eq!(volume.as_str(), "/var/lib/redis");
        assert_eq!(volume.name(), "var-lib-redis");
        for text in ["", "data", "/", "/a/../..", "/proc/x", "/dev", "/a\nb"] {
            let error = text.parse::<Volume>().unwrap_err();
            assert_eq!(error, NotAVolume(text.to_owned()), "{text}");
        }
    }
}
