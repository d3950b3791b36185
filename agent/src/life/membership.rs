//! How this box belongs to its master: enrolled with a certificate that it keeps valid, or known to a master of another make.

use anyhow::Context as _;
use ipnet::Ipv6Net;
use slap::ComputerId;
use slap::client;

use crate::config::SlapMaster;
use crate::identity::Identity;
use crate::master;
use crate::roles::Overlay;

/// How this box belongs to its master.
#[derive(Debug)]
pub(super) enum Membership {
    /// By its certificate; it has its prefix from the overlay.
    Enrolled(Box<Identity>, Overlay),
    /// As its document says.
    Known(Box<SlapMaster>),
}

impl Membership {
    /// What the master calls this computer.
    pub(super) fn reference(&self) -> anyhow::Result<ComputerId> {
        match self {
            Self::Enrolled(identity, _) => identity
                .master
                .reference
                .parse()
                .context("the reference that the master gave is not a computer's"),
            Self::Known(master) => Ok(master.computer.clone()),
        }
    }

    /// How the master is called.
    pub(super) fn client(&self, proxy: Option<&str>) -> client::Settings {
        match self {
            Self::Enrolled(identity, _) => master::settings(identity),
            Self::Known(known) => client::Settings {
                proxy: proxy.map(str::to_owned),
                ..known.client()
            },
        }
    }

    /// The prefix, where no overlay tells it.
    pub(super) fn prefix(&self) -> Option<Ipv6Net> {
        match self {
            Self::Enrolled(..) => None,
            Self::Known(master) => Some(master.prefix),
        }
    }

    /// What a person should know who looks at the box.
    pub(super) fn notice(&self) -> Option<String> {
        match self {
            Self::Known(master) if master.url.starts_with("http://") => Some(format!(
                "the master at {} is called without TLS: whoever is on the way can command this box",
                master.url
            )),
            Self::Enrolled(..) | Self::Known(_) => None,
        }
    }
}
