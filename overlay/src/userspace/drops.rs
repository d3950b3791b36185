//! Why packets were dropped, and how often. Pure.

use std::collections::BTreeMap;

/// Why a packet or datagram went nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It is not what it says to be, or not IPv6.
    Malformed,
    /// It is larger than any packet of ours.
    TooLarge,
    /// It is for no session that we have, or from a key that is no peer's.
    Stranger,
    /// It was forged, changed on the way, or sent again.
    Forged,
    /// The address it comes from is not the one behind that peer.
    ForeignSource,
    /// It is a tunnel's whose ends are none of ours.
    NoTunnel,
    /// It is for an address behind which there is no peer.
    NoPeer,
    /// Nobody knows where the peer is.
    NoEndpoint,
    /// It was marked as congested, and its ends do not understand marks (RFC 6040).
    Congested,
    /// It is one handshake too many.
    Flood,
    /// The socket or the interface did not take it.
    NotTaken,
}

/// How often each reason was met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drops(BTreeMap<Reason, u64>);

impl Drops {
    /// Counts one more.
    pub(super) fn count(&mut self, reason: Reason) {
        *self.0.entry(reason).or_default() += 1;
    }

    /// Counts one more if there is a reason.
    pub(super) fn count_err(&mut self, result: Result<(), Reason>) {
        if let Err(reason) = result {
            self.count(reason);
        }
    }

    /// Returns how often a reason was met.
    pub fn of(&self, reason: Reason) -> u64 {
        self.0.get(&reason).copied().unwrap_or_default()
    }
}
