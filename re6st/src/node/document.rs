//! What the registry last said, and what it was told for it: all that links need. Pure.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use slapbox_overlay::keys::PublicKey;
use time::OffsetDateTime;
use x509_parser::pem::parse_x509_pem;

use crate::reference::Reference;
use crate::wire::{JoinReply, JoinRequest, View};

/// What the node says of itself when it joins; when this changes, it joins again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// How the master calls this computer.
    pub reference: Reference,
    /// Its WireGuard key.
    pub wireguard_public_key: PublicKey,
    /// The UDP port it listens on.
    pub port: u16,
    /// `host:port` at which others reach it, if it is told.
    pub endpoint: Option<String>,
    /// Where others might reach it: as they see it, and the addresses of its machine.
    #[serde(default)]
    pub addresses: Vec<SocketAddr>,
}

impl Facts {
    /// Returns the request to join with them.
    pub fn request(&self, csr: String) -> JoinRequest {
        JoinRequest {
            csr,
            wireguard_public_key: self.wireguard_public_key,
            port: self.port,
            endpoint: self.endpoint.clone(),
            addresses: self.addresses.clone(),
        }
    }
}

/// A membership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What the node said.
    pub facts: Facts,
    /// The URL of the master that answered: there is the computer on whose machine the registry is, unless it says otherwise.
    pub url: String,
    /// What the registry said.
    pub joined: JoinReply,
}

impl Document {
    /// Returns the document with what is new of who is a member; nothing if that was added to something else than this.
    pub fn with_news(&self, news: View) -> Option<Self> {
        let joined = JoinReply {
            view: self.joined.view.with(news)?,
            ..self.joined.clone()
        };
        Some(Self {
            joined,
            ..self.clone()
        })
    }

    /// Says whether the registry is on this computer.
    pub fn is_host(&self) -> bool {
        self.joined.view.host.as_ref() == Some(&self.facts.reference)
    }

    /// Returns when the certificate is at half its life; a certificate that cannot be read is.
    pub fn renew_at(&self) -> OffsetDateTime {
        let middle = |pem: &str| {
            let (_, pem) = parse_x509_pem(pem.as_bytes()).ok()?;
            let certificate = pem.parse_x509().ok()?;
            let validity = certificate.validity();
            let (from, to) = (
                validity.not_before.to_datetime(),
                validity.not_after.to_datetime(),
            );
            Some(from + (to - from) / 2)
        };
        middle(&self.joined.certificate).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}
