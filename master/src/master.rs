//! What every request handler has at hand.

use std::net::IpAddr;
use std::sync::Arc;

use camino::Utf8PathBuf;
use slap::JoinBlob;
use slap::join::Token;
use tokio::sync::{Mutex, Notify, watch};

use crate::ca::Authority;
use crate::clock::{Clock, Entropy};
use crate::contacts::Contacts;
use crate::documents::Documents;
use crate::identity::ComputerId;
use crate::refusals::Refusals;
use crate::store::Store;

/// The master, as handlers see it.
#[derive(Debug)]
pub struct Master {
    pub store: Store,
    /// There when nobody is asked for a certificate.
    pub open: Option<Open>,
    pub authority: Arc<Authority>,
    /// What no other run of any master has.
    pub run_id: String,
    pub clock: Clock,
    pub entropy: Entropy,
    /// Where it is reached, without a slash at the end; at least one.
    pub urls: Vec<String>,
    /// The folder of published releases.
    pub releases: Utf8PathBuf,
    /// The folder of what computers built for others.
    pub cache: Utf8PathBuf,
    /// How many bytes of that each project may have.
    pub cache_room: u64,
    /// Held while a release takes its name.
    pub publishing: Mutex<()>,
    /// The socket of the overlay's registry, if this master has one.
    pub registry: Option<Utf8PathBuf>,
    /// Which addresses the master dials for an operator.
    pub may_dial: fn(&IpAddr) -> bool,
    pub refusals: Refusals,
    pub contacts: Contacts,
    pub documents: Documents,
    /// Told when somebody enrolled as operator.
    pub operator_enrolled: Notify,
    /// True when the master is to stop: held requests end.
    pub stopping: watch::Receiver<bool>,
}

/// How a master is that asks nobody who they are: for tests, and for one machine with nothing around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// The computer that is meant when nobody says which.
    pub default_computer: Option<ComputerId>,
}

impl Master {
    /// Returns the line that lets a box or a person join with this token.
    pub fn join_line(&self, token: Token) -> String {
        join_line(self.urls.clone(), &self.authority, token)
    }
}

/// Returns the line that lets a box or a person join with this token.
pub fn join_line(urls: Vec<String>, authority: &Authority, token: Token) -> String {
    JoinBlob {
        urls,
        ca: authority.pin(),
        token,
    }
    .reveal()
}

/// Says whether an address can be a service's: nothing of the master's own machine or link, whatever a node announces.
pub fn is_routable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => {
            !v6.is_loopback()
                && !v6.is_unspecified()
                && !v6.is_multicast()
                && !v6.is_unicast_link_local()
                && v6.to_ipv4().is_none()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_master_never_dials_itself() {
        let routable = |text: &str| is_routable(&text.parse().unwrap());
        assert!(routable("fd12:3456:789a:1::2"));
        assert!(routable("2001:db8::1"));
        for own in [
            "::1",
            "::",
            "127.0.0.1",
            "10.0.0.2",
            "::ffff:127.0.0.1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!routable(own), "{own}");
        }
    }
}
