//! What the overlay's daemon says of itself, in `/run/slapbox-re6st/node.json`.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::Deserialize;

use crate::disk;
use crate::places::Places;
use crate::status;

/// The daemon's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct OverlayState {
    /// This node's prefix.
    pub prefix: Option<Ipv6Net>,
    /// This node's address.
    pub address: Option<Ipv6Addr>,
    /// Its links.
    pub links: Vec<Link>,
    /// `connected` or `connecting`.
    pub state: String,
    /// Why, in words.
    pub reason: Option<String>,
}

/// A link to a peer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Link {
    /// The peer.
    pub peer: String,
    /// `up` or not.
    pub state: String,
}

/// Reads what the daemon last said; nothing is said if it has not started.
pub fn read(places: &Places) -> OverlayState {
    let path = places.at("run/slapbox-re6st/node.json");
    let parsed = match disk::read(&path) {
        Ok(Some(json)) => serde_json::from_slice(&json).map_err(|error| error.to_string()),
        Ok(None) => Ok(OverlayState::default()),
        Err(error) => Err(error.to_string()),
    };
    parsed.unwrap_or_else(|reason| OverlayState {
        reason: Some(format!("{path} cannot be read: {reason}")),
        ..OverlayState::default()
    })
}

impl OverlayState {
    /// A box that is in no overlay: its network gives it this prefix.
    pub fn without(prefix: Ipv6Net) -> Self {
        Self {
            prefix: Some(prefix),
            state: "none".to_owned(),
            reason: Some("the prefix is that of the configuration".to_owned()),
            ..Self::default()
        }
    }

    /// The same, for the screen.
    pub fn into_status(self) -> status::Overlay {
        status::Overlay {
            links: self.links.iter().filter(|link| link.state == "up").count(),
            state: self.state,
            reason: self.reason.unwrap_or_default(),
            prefix: self.prefix,
            address: self.address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemons_words_reach_the_screen() {
        let json = r#"{"network":"fd12:3456:789a::/48","prefix":"fd12:3456:789a:1::/64",
            "address":"fd12:3456:789a:1::1","links":[{"peer":"COMP-1","state":"up",
            "last_handshake_seconds":3},{"peer":"COMP-3","state":"down"}],"state":"connected","reason":null}"#;
        let status = serde_json::from_str::<OverlayState>(json)
            .unwrap()
            .into_status();
        assert_eq!(status.links, 1);
        assert_eq!(status.prefix, "fd12:3456:789a:1::/64".parse().ok());
        assert_eq!(status.state, "connected");
    }
}
