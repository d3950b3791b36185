//! How the overlay's daemon of this machine says that its tunnels are: `node.json`.

use std::io::{ErrorKind, Read as _};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use serde::Deserialize;

/// What the daemon says. What an older or newer one does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct NetState {
    pub(crate) computer: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) network: Option<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) others: usize,
    pub(crate) destinations: u64,
    pub(crate) links: Vec<Link>,
    pub(crate) asked: Vec<NoLink>,
    pub(crate) resting: Vec<NoLink>,
    pub(crate) tunnels_made: u64,
    pub(crate) tunnels_lost: u64,
    /// `connected` or `connecting`.
    pub(crate) state: String,
    pub(crate) reason: String,
}

/// A tunnel.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Link {
    pub(crate) peer: String,
    /// `up` or `down`.
    pub(crate) state: String,
    pub(crate) reason: String,
    /// `main`; `both` and `spare` while it is being replaced.
    pub(crate) way: String,
    pub(crate) age_seconds: u64,
    pub(crate) round_trip_ms: Option<f64>,
    pub(crate) loss: f64,
    pub(crate) mtu: u32,
    pub(crate) carrier: Option<String>,
    pub(crate) destinations: u64,
    pub(crate) endpoint: Option<String>,
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
}

/// Somebody to whom there is no tunnel.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct NoLink {
    pub(crate) peer: String,
    pub(crate) seconds: u64,
    pub(crate) reason: String,
}

/// What the daemon wrote, and when.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) written: SystemTime,
}

impl NetState {
    /// Reads what the daemon wrote.
    pub(super) fn parse(json: &str) -> Result<Self> {
        Ok(serde_json::from_str(json)?)
    }

    /// What is not as it should be, in a few words; nothing of a node that reaches the others.
    pub(crate) fn complaint(&self, runs: bool) -> Option<String> {
        if !runs {
            return Some(
                "the overlay's daemon does not run: what it said is old, and tunnels are as it has left them"
                    .to_owned(),
            );
        }
        (self.state != "connected").then(|| "this node is not in the overlay".to_owned())
    }
}

/// Returns what the daemon wrote last into a file; nothing if there is none.
pub(super) fn read(path: &Utf8Path) -> Result<Option<Said>> {
    let read = || {
        let mut file = std::fs::File::open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let written = file.metadata()?.modified()?;
        Ok(Said { text, written })
    };
    match read() {
        Ok(said) => Ok(Some(said)),
        Err(error) if ErrorKind::NotFound == std::io::Error::kind(&error) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{path}`")),
    }
}

#[cfg(test)]
pub(crate) const CONNECTED: &str = r#"{
  "computer": "COMP-2", "name": "comp-2.slapbox.internal", "network": "fd12:3456:789a::/48", "prefix": "fd12:3456:789a:2::/64",
  "address": "fd12:3456:789a:2::1", "others": 9, "destinations": 9,
  "links": [
    {"peer": "COMP-1", "state": "up", "reason": "", "way": "main", "age_seconds": 300, "round_trip_ms": 1.2, "loss": 0.02,
     "mtu": 1380, "destinations": 7, "endpoint": "192.0.2.1:6326", "received_bytes": 4194304, "sent_bytes": 2048,
     "last_handshake_seconds": 3},
    {"peer": "COMP-5", "state": "up", "reason": "", "way": "both", "age_seconds": 86400, "round_trip_ms": 143.0, "loss": 0.0,
     "mtu": 1380, "carrier": "tls", "destinations": 2, "endpoint": "[2001:db8::5]:6326", "received_bytes": 12, "sent_bytes": 13,
     "last_handshake_seconds": 9},
    {"peer": "COMP-6", "state": "down", "reason": "it has agreed to the tunnel, and nothing has come through it yet",
     "way": "main", "age_seconds": 2, "round_trip_ms": null, "loss": 0.0, "mtu": 1380, "destinations": 0, "endpoint": null,
     "received_bytes": 0, "sent_bytes": 0, "last_handshake_seconds": null}
  ],
  "asked": [{"peer": "COMP-3", "seconds": 1, "reason": "its address is not known"}],
  "resting": [{"peer": "COMP-4", "seconds": 40, "reason": "it has no room for another tunnel"}],
  "tunnels_made": 7, "tunnels_lost": 2, "state": "connected", "reason": ""
}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_reaches_the_others_is_well_while_its_daemon_runs() {
        let state = NetState::parse(CONNECTED).unwrap();
        assert_eq!(state.complaint(true), None);
        let stopped = state.complaint(false).unwrap();
        assert!(stopped.contains("does not run"), "{stopped}");
        let alone = NetState::parse(r#"{"state": "connecting"}"#).unwrap();
        assert_eq!(
            alone.complaint(true).unwrap(),
            "this node is not in the overlay"
        );
    }

    #[test]
    fn what_was_written_is_read_with_its_time_and_may_be_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path())
            .unwrap()
            .join("node.json");
        assert!(read(&path).unwrap().is_none());
        std::io::Write::write_all(
            &mut std::fs::File::create(&path).unwrap(),
            CONNECTED.as_bytes(),
        )
        .unwrap();
        let said = read(&path).unwrap().unwrap();
        assert_eq!(said.text, CONNECTED);
        assert!(said.written <= SystemTime::now());
        let folder = read(Utf8Path::from_path(folder.path()).unwrap()).unwrap_err();
        assert!(folder.to_string().starts_with("cannot read `/"), "{folder}");
    }
}
