//! What nodes and the registry say to each other: JSON over HTTP, under `/v1/re6st/`. Types only.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use slapbox_overlay::keys::PublicKey;

use crate::reference::Reference;

/// The header in which the master's proxy says who calls; from outside it is removed there.
pub const COMPUTER_HEADER: &str = "x-slapbox-computer";

/// The header in which it says where the caller is, if it knows: the label `region` of the computer. From outside it is removed there, too.
pub const REGION_HEADER: &str = "x-slapbox-region";

/// `POST /v1/re6st/join`: a computer wants to be a member, or renews its certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Certificate signing request for the computer's overlay key, PEM.
    pub csr: String,
    /// The computer's WireGuard key.
    pub wireguard_public_key: PublicKey,
    /// The UDP port it listens on.
    pub port: u16,
    /// `host:port` at which others reach it, if it is told.
    #[serde(default)]
    pub endpoint: Option<String>,
}

/// The answer to a join: everything that a member needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinReply {
    /// The member's certificate, PEM.
    pub certificate: String,
    /// The registry's certificate, PEM.
    pub ca: String,
    /// The whole overlay.
    pub network: Ipv6Net,
    /// The member's own prefix.
    pub prefix: Ipv6Net,
    /// The member's address on the WireGuard interface.
    pub link_address: Ipv6Addr,
    /// Whom it talks to.
    #[serde(flatten)]
    pub view: View,
}

/// `GET /v1/re6st/network?since=V`: whom a member talks to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Moves when the rest does.
    pub version: u64,
    /// Which member the others are linked to.
    #[serde(default)]
    pub hub: Option<Reference>,
    /// The members to be linked with.
    pub peers: Vec<Peer>,
}

/// Another member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name.
    pub reference: Reference,
    /// Its WireGuard key.
    pub wireguard_public_key: PublicKey,
    /// `host:port` at which it says to be reached.
    pub endpoint: Option<String>,
    /// The UDP port it listens on.
    pub port: u16,
    /// Its address on the WireGuard interface.
    pub link_address: Ipv6Addr,
    /// Its prefix.
    pub prefix: Ipv6Net,
}

/// Every refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// A word for programs.
    pub error: String,
    /// Words for people.
    pub message: String,
}
