//! What a machine is told at its first boot: the configuration document, rendered from what a scenario means.
//! The document reaches the machine byte for byte; nothing here knows how.

use crate::blob::Blob;
use crate::network::{HOST_SEEN_FROM_A_MACHINE, MasterAddress};

/// A configuration document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed(String);

impl Seed {
    /// A node that joins the master that issued `blob`.
    pub fn joining(blob: &Blob) -> Self {
        Self(format!("role = \"node\"\njoin = \"{}\"\n", blob.line()))
    }

    /// A box that is the master, and a node of itself.
    pub fn master(address: MasterAddress) -> Self {
        Self(format!(
            "role = \"master\"\nname = \"master\"\n\n[overlay]\nendpoint = \"{}\"\n\n[master]\nurls = [\"{}\"]\n",
            address.overlay_for_machines(),
            address.url_for_machines()
        ))
    }

    /// A document in which somebody has mistyped a key.
    pub fn malformed() -> Self {
        Self("role = \"node\"\njion = \"slapbox1.abc\"\n".to_owned())
    }

    /// The same document, with a name for the box.
    pub fn named(self, name: &str) -> Self {
        Self(format!("name = \"{name}\"\n{}", self.0))
    }

    /// The same document, with another number of partitions.
    pub fn partitions(self, count: u16) -> Self {
        Self(format!("partitions = {count}\n{}", self.0))
    }

    /// The same document, for a box that others reach at a UDP port of the host.
    pub fn reached_at(self, port: u16) -> Self {
        let host = HOST_SEEN_FROM_A_MACHINE;
        Self(format!(
            "{}\n[overlay]\nendpoint = \"{host}:{port}\"\n",
            self.0
        ))
    }

    /// The document's text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masters_document_names_the_addresses_that_machines_can_reach() {
        let seed = Seed::master(MasterAddress {
            tls: 4430,
            overlay: 6330,
        });
        let document: toml::Table = seed.text().parse().unwrap();
        assert_eq!(document["role"].as_str(), Some("master"));
        assert_eq!(
            document["master"]["urls"][0].as_str(),
            Some("https://10.0.2.2:4430")
        );
        assert_eq!(
            document["overlay"]["endpoint"].as_str(),
            Some("10.0.2.2:6330")
        );
    }

    #[test]
    fn a_nodes_document_carries_its_blob_and_its_name() {
        let blob = Blob::parse("slapbox1.eyJ1cmxzIjpbXSwiY2EiOiIiLCJ0b2tlbiI6IiJ9").unwrap();
        let document: toml::Table = Seed::joining(&blob)
            .named("edge-1")
            .partitions(20)
            .text()
            .parse()
            .unwrap();
        assert_eq!(document["name"].as_str(), Some("edge-1"));
        assert_eq!(document["partitions"].as_integer(), Some(20));
        assert_eq!(document["join"].as_str(), Some(blob.line().as_str()));
    }
}
