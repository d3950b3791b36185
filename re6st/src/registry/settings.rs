//! What a registry is told: by flags or by a file with the same keys.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use clap::Args;
use ipnet::Ipv6Net;
use serde::Deserialize;

use crate::domain::Domain;
use crate::reference::Reference;

/// What a registry is told.
#[derive(Args, Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Folder of its store, made at the first start.
    #[arg(long)]
    pub state: Utf8PathBuf,
    /// Unix socket on which it answers.
    #[arg(long)]
    pub socket: Utf8PathBuf,
    /// The overlay's prefix, /48 to /60; a random unique local /48 otherwise.
    #[arg(long)]
    pub network: Option<Ipv6Net>,
    /// The computer on whose machine this registry is; the first to join otherwise.
    #[arg(long)]
    pub host: Option<Reference>,
    /// With what the names of its nodes end.
    #[arg(long, default_value_t)]
    #[serde(default)]
    pub domain: Domain,
    /// Parts of the network, each a region's: `[regions]` with `eu = "fd12:3456:789a:8000::/49"`. Only in a file.
    #[arg(skip)]
    #[serde(default)]
    pub regions: BTreeMap<String, Ipv6Net>,
}

/// Parses a settings file.
pub fn parse_settings(text: &str) -> Result<Settings, toml::de::Error> {
    toml::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_flags_say() {
        let settings = parse_settings(
            "state = \"/a\"\nsocket = \"/b\"\nnetwork = \"fd00:1:2::/48\"\nhost = \"COMP-1\"\n\
             domain = \"Cloud.example\"\n[regions]\neu = \"fd00:1:2:8000::/49\"\n",
        )
        .unwrap();
        assert_eq!(settings.network, Some("fd00:1:2::/48".parse().unwrap()));
        assert_eq!(
            settings.host.as_ref().map(Reference::as_str),
            Some("COMP-1")
        );
        assert_eq!(settings.domain.as_str(), "cloud.example");
        assert_eq!(
            settings.regions["eu"],
            "fd00:1:2:8000::/49".parse().unwrap()
        );
        let least = parse_settings("state = \"/a\"\nsocket = \"/b\"\n").unwrap();
        assert_eq!(least.domain.as_str(), "slapbox.internal");
        let bad = "state = \"/a\"\nsocket = \"/b\"\ndomain = \"a b\"\n";
        let refusal = parse_settings(bad).unwrap_err().to_string();
        assert!(
            refusal.contains("`a b` is not the name of a network"),
            "{refusal}"
        );
        assert!(parse_settings("state = \"/a\"\nsocket = \"/b\"\nspeed = 9\n").is_err());
    }
}
