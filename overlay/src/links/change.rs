//! What can be changed of the WireGuard interface, one thing at a time. Pure: both planes understand it.

use std::net::SocketAddr;

use ipnet::Ipv6Net;

use crate::keys::{PrivateKey, PublicKey};

/// One change of the WireGuard interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Its key.
    PrivateKey(PrivateKey),
    /// Its port.
    Port(u16),
    /// A peer less.
    RemovePeer(PublicKey),
    /// A peer more, or what is behind it.
    Peer {
        key: PublicKey,
        allowed: Ipv6Net,
        keepalive: u16,
    },
    /// Where a peer is.
    Endpoint {
        key: PublicKey,
        endpoint: SocketAddr,
    },
}
