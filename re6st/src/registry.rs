//! The registry: who is a member of the overlay, with which prefix, certificate and peers.
//!
//! It may be down for as long as it likes: links and routes live without it, only newcomers wait.

mod api;
mod authority;
mod carriers;
mod ip_addr_blocks;
mod map;
mod members;
mod prefixes;
mod settings;
mod store;

pub use api::{router, serve};
pub use ip_addr_blocks::ip_addr_blocks;
pub use settings::{Settings, parse_settings};

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ipnet::Ipv6Net;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::disk;
use crate::reference::Reference;
use crate::wire::{JoinReply, JoinRequest, LinksReport, Map, View};

use authority::Authority;
use carriers::Carriers;
use map::Reports;
use members::{Facts, Members, NoHost};
use store::Store;

/// What keeps a registry from working, or from doing what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its files cannot be used.
    #[error("failed to use the registry's store")]
    Store(#[source] disk::Error),
    /// The network that it was told is not the one that it serves.
    #[error(
        "the registry serves {stored}, not {wanted}: give it another state folder, or the network that it has"
    )]
    OtherNetwork {
        /// What its store says.
        stored: Ipv6Net,
        /// What it was told.
        wanted: Ipv6Net,
    },
    /// The network that it was told has no room for members.
    #[error("failed to use the network")]
    Network(#[source] prefixes::NoNetwork),
    /// A member may not join like this.
    #[error("the join is refused")]
    Members(#[source] members::Refusal),
    /// It tells more than can be.
    #[error("the report is refused")]
    Report(#[source] map::TooMany),
    /// The certificate could not be made.
    #[error("failed to issue a certificate")]
    Authority(#[source] authority::Error),
}

/// Chance and time, which the caller has.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The time.
    pub now: OffsetDateTime,
    /// The next certificate's serial number.
    pub serial: [u8; 16],
}

/// A registry over its store.
#[derive(Debug)]
pub struct Registry {
    store: Store,
    authority: Authority,
    members: Mutex<Members>,
    begun: Instant,
    reports: Mutex<Reports>,
    changes: watch::Sender<u64>,
    carriers: Carriers,
}

impl Registry {
    /// Opens the registry of a state folder, making it at the first start.
    pub fn open(settings: &Settings, random: [u8; 5], moment: Moment) -> Result<Self, Error> {
        let store = Store::open(&settings.state).map_err(Error::Store)?;
        let mut members = match store.members().map_err(Error::Store)? {
            Some(members) => members,
            None => {
                let network = settings
                    .network
                    .unwrap_or_else(|| prefixes::unique_local(random));
                Members::new(prefixes::check(network).map_err(Error::Network)?)
            }
        };
        if let Some(wanted) = settings
            .network
            .filter(|wanted| wanted.trunc() != members.network)
        {
            return Err(Error::OtherNetwork {
                stored: members.network,
                wanted,
            });
        }
        if let Some(host) = &settings.host {
            members.set_host(host.clone());
        }
        members.set_domain(settings.domain.clone());
        let regions = prefixes::check_regions(members.network, &settings.regions);
        members.set_regions(regions.map_err(Error::Network)?);
        store.save_members(&members).map_err(Error::Store)?;
        let authority = Authority::open(&store, members.network, moment)?;
        let changes = watch::Sender::new(members.version);
        Ok(Self {
            store,
            authority,
            members: Mutex::new(members),
            begun: Instant::now(),
            reports: Mutex::default(),
            changes,
            carriers: Carriers::default(),
        })
    }

    /// Returns the whole overlay.
    pub fn network(&self) -> Ipv6Net {
        self.read(|members| members.network)
    }

    /// Makes a computer of some region a member, or renews its membership; it always gets the same prefix.
    pub fn join(
        &self,
        computer: &Reference,
        region: Option<&str>,
        request: &JoinRequest,
        moment: Moment,
    ) -> Result<JoinReply, Error> {
        let facts = Facts::try_from(request).map_err(Error::Members)?;
        let csr = authority::check(&request.csr).map_err(Error::Authority)?;
        self.change(|members| {
            members
                .join(computer, facts, region)
                .map_err(Error::Members)
        })?;
        self.read(|members| {
            let place = members
                .place_of(computer)
                .ok_or(Error::Members(members::Refusal::Unknown))?;
            Ok(JoinReply {
                certificate: self
                    .authority
                    .issue(&csr, computer, place.prefix, moment)
                    .map_err(Error::Authority)?,
                ca: self.authority.certificate().to_owned(),
                network: members.network,
                prefix: place.prefix,
                link_address: place.link_address,
                view: members
                    .view(computer, 0)
                    .ok_or(Error::Members(members::Refusal::Unknown))?,
            })
        })
    }

    /// Takes a computer's membership and frees its prefix; one that is no member is fine.
    pub fn release(&self, computer: &Reference) -> Result<(), Error> {
        self.change(|members| {
            members.release(computer);
            Ok(())
        })?;
        self.reports(|reports, _| reports.forget(computer));
        Ok(())
    }

    /// Returns who else is a member, or what changed of that since a version.
    pub fn view(&self, computer: &Reference, since: u64) -> Result<View, Error> {
        let view = self.read(|members| members.view(computer, since));
        let view = view.ok_or(Error::Members(members::Refusal::Unknown))?;
        self.reports(|reports, now| reports.hear(computer, now));
        Ok(view)
    }

    /// Takes what a member tells of its tunnels.
    pub fn report(&self, computer: &Reference, report: LinksReport) -> Result<(), Error> {
        if self.read(|members| members.place_of(computer)).is_none() {
            return Err(Error::Members(members::Refusal::Unknown));
        }
        self.reports(|reports, now| reports.take(computer, report, now))
            .map_err(Error::Report)
    }

    /// Returns the members and the tunnels between them, as these tell them.
    pub fn map(&self) -> Map {
        let members = self.read(Members::map);
        self.reports(|reports, now| reports.map(members, now))
    }

    /// Returns the port of the WireGuard on this machine, for a member on another one.
    fn port_beside(&self, computer: &Reference) -> Result<u16, NoHost> {
        self.read(|members| members.port_beside(computer))
    }

    /// Returns what moves whenever anything changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn reports<T>(&self, with: impl FnOnce(&mut Reports, Duration) -> T) -> T {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        with(&mut reports, self.begun.elapsed())
    }

    fn read<T>(&self, read: impl FnOnce(&Members) -> T) -> T {
        read(&self.members.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the members on disk first, so that nothing is promised that a power cut takes back.
    fn change(&self, change: impl FnOnce(&mut Members) -> Result<(), Error>) -> Result<(), Error> {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = members.clone();
        change(&mut next)?;
        if next != *members {
            self.store.save_members(&next).map_err(Error::Store)?;
            *members = next;
            self.changes.send_replace(members.version);
        }
        Ok(())
    }
}
