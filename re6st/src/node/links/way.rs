//! The way to the registry's computer: tells `detour` what there is, and has done what it plans, but for what is WireGuard's.

use std::net::SocketAddr;

use slapbox_overlay::links::{Desired, Observed};
use tokio::time::Instant;

use crate::mesh::Member;
use crate::node::credentials::Source;
use crate::node::detour::{Detour, Plan, Seen};
use crate::node::document::Document;
use crate::node::near_end::NearEnd;
use crate::node::policy::Tunnels;
use crate::reference::Reference;
use crate::wire::Peer;
use crate::words::words;

/// The way to the registry's computer.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// Whose way it is: another computer gets another.
    to: Option<Reference>,
    detour: Detour,
    near: Option<NearEnd>,
    /// Why there is no near end.
    problem: Option<String>,
}

/// What there is when it is planned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    pub(super) source: &'a Source,
    pub(super) tunnels: &'a Tunnels,
    pub(super) observed: &'a Observed,
    /// Whether somebody is asked for a tunnel.
    pub(super) asks: bool,
    pub(super) now: Instant,
}

/// What is planned for the registry's computer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned<'a> {
    pub(super) peer: &'a Peer,
    pub(super) plan: Plan,
}

impl Planned<'_> {
    /// Has its datagrams go where they shall though it may have been heard elsewhere.
    pub(super) fn apply(&self, desired: &mut Desired) {
        let peers = &mut desired.wireguard.peers;
        if let Some(peer) = peers.get_mut(&self.peer.wireguard_public_key) {
            peer.moves = self.plan.moves;
        }
    }
}

impl Way {
    /// Returns what is planned; nothing where the registry is on this computer, or on none that is known. `addresses` are its own.
    pub(super) fn step<'a>(
        &mut self,
        document: &'a Document,
        around: &Around<'_>,
        addresses: impl FnOnce(&Reference) -> Vec<SocketAddr>,
    ) -> Option<Planned<'a>> {
        let Around {
            source,
            tunnels,
            observed,
            asks,
            now,
        } = *around;
        let view = &document.joined.view;
        let mut peers = view.peers.iter();
        let peer = peers.find(|peer| view.host.as_ref() == Some(&peer.reference));
        if self.to.as_ref() != peer.map(|peer| &peer.reference) {
            *self = Self {
                to: peer.map(|peer| peer.reference.clone()),
                ..Self::default()
            };
        }
        let peer = peer?;
        let found = observed.peer(&peer.wireguard_public_key);
        let its_own = tunnels.get(&Member(peer.number()));
        let host_up = its_own.is_some_and(|tunnel| tunnel.is_up);
        let seen = Seen {
            asks,
            any_up: tunnels.values().any(|tunnel| tunnel.is_up),
            is_reached: host_up || observed.babel.contains_key(&peer.prefix),
            host_up,
            endpoint: found.and_then(|found| found.endpoint),
            near: self.near.as_ref().map(NearEnd::seen),
        };
        let plan = self.detour.step(&seen, now);
        self.keep_near_end(source, document.facts.port, plan.carrier);
        if let Some(near) = &self.near {
            if plan.probe {
                near.probe(addresses(&peer.reference));
            }
            if plan.hush {
                tracing::info!(to = ?plan.to, "the registry's computer answers by UDP again");
                near.hush();
            }
        }
        Some(Planned { peer, plan })
    }

    fn keep_near_end(&mut self, source: &Source, port: u16, is_wanted: bool) {
        if !is_wanted {
            (self.near, self.problem) = (None, None);
            return;
        }
        if self.near.as_ref().is_some_and(|near| near.port() == port) {
            return;
        }
        match NearEnd::begin(source.clone(), port) {
            Ok(near) => self.near = Some(near),
            Err(err) => self.problem = Some(words(&err)),
        }
    }

    /// Returns in words why the carrier that shall be there carries nothing.
    pub(super) fn problem(&self) -> Option<String> {
        let of_near = self.near.as_ref().and_then(NearEnd::problem);
        let problem = of_near.or_else(|| self.problem.clone())?;
        let to = self.to.as_ref()?;
        Some(format!("there is no way to {to} in TLS either: {problem}"))
    }

    /// Waits until the carrier is otherwise than before.
    pub(super) async fn moved(&mut self) {
        match &mut self.near {
            Some(near) => near.moved().await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests;
