//! What happens between two passes over the links: datagrams to and from neighbours, their timers, and the resolver's answers.
//!
//! It decides nothing: the neighbours do. It never touches the kernel's tables.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use slapbox_overlay::links::WIREGUARD;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::mesh::{Member, Moment, Settings};
use crate::node::document::Document;
use crate::node::endpoints::{Endpoints, resolve};
use crate::node::machine::{Ear, Machine};
use crate::node::neighbours::{Nearby, Neighbours};
use crate::node::policy::{self, Tunnels, Whereabouts};
use crate::node::talk::{LONGEST, Message};
use crate::reference::Reference;
use crate::wire::number_of;
use crate::words::words;

/// The neighbours of a node, and how it speaks to them.
#[derive(Debug)]
pub(super) struct Live<M: Machine> {
    begun: Instant,
    /// The node's address among the links, and who is near.
    near: Option<(Ipv6Addr, Neighbours)>,
    /// The version of the network whose members the neighbours know.
    version: Option<u64>,
    /// Where neighbours are heard, by what WireGuard brings: who has sent it is proven.
    ear: Option<M::Ear>,
    /// Where those are heard who cannot be heard there yet: whoever reaches this node through the overlay.
    porch: Option<M::Ear>,
    /// Where others are.
    others: BTreeMap<Member, Whereabouts>,
    resolving: JoinSet<(Reference, String, Vec<SocketAddr>)>,
}

impl<M: Machine> Live<M> {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            near: None,
            version: None,
            ear: None,
            porch: None,
            others: BTreeMap::new(),
            resolving: JoinSet::new(),
        }
    }

    fn now(&self) -> Moment {
        self.begun.elapsed()
    }

    /// Begins with a node's place in the network, anew if that is another one.
    pub(super) fn begin(&mut self, document: &Document) {
        let at = document.joined.link_address;
        if self.near.as_ref().is_some_and(|(known, _)| *known == at) {
            return;
        }
        let me = Member(number_of(at));
        let neighbours = Neighbours::new(me, Settings::default(), rand::random(), self.now());
        self.near = Some((at, neighbours));
        self.version = None;
        (self.ear, self.porch) = (None, None);
    }

    /// Opens the port for what neighbours say, where it is not open.
    pub(super) fn listen(&mut self, machine: &M, document: &Document) -> Result<(), String> {
        let opened = |opened: io::Result<M::Ear>| {
            opened.map_err(|err| format!("nothing is heard of others: {}", words(&err)))
        };
        if self.ear.is_none() {
            // By this interface only: else who writes a link address on a packet and sends it through a tunnel would be taken for that member.
            let ear = machine.listen(document.joined.link_address, Some(WIREGUARD));
            self.ear = Some(opened(ear)?);
        }
        if self.porch.is_none() {
            let porch = machine.listen(policy::address(document.joined.prefix), None);
            self.porch = Some(opened(porch)?);
        }
        Ok(())
    }

    /// Tells who there is, once WireGuard knows them.
    pub(super) fn know(&mut self, document: &Document) {
        let version = document.joined.view.version;
        let now = self.now();
        let Some((_, neighbours)) = &mut self.near else {
            return;
        };
        if self.ear.is_some() && self.version != Some(version) {
            self.version = Some(version);
            let members = Arc::from(policy::members(document));
            let public = Arc::from(policy::public(document));
            neighbours.know(now, members, public);
            let others = policy::whereabouts(document);
            for (peer, there) in &others {
                if self.others.get(peer).is_some_and(|before| before != there) {
                    neighbours.hear_of_move(now, *peer);
                }
            }
            self.others = others;
        }
    }

    /// Tells how many destinations are reached by each tunnel.
    pub(super) fn weigh(&mut self, uses: Tunnels<u64>) {
        let now = self.now();
        if let Some((_, neighbours)) = &mut self.near {
            neighbours.weigh(now, uses);
        }
    }

    /// Tells at which addresses neighbours are seen.
    pub(super) fn see(&mut self, at: &Tunnels<SocketAddr>) {
        let now = self.now();
        if let Some((_, neighbours)) = &mut self.near {
            neighbours.see(now, at);
        }
    }

    /// Returns at which addresses neighbours see this node.
    pub(super) fn seen_at(&self) -> Vec<SocketAddr> {
        let near = self.near.as_ref();
        near.map(|(_, neighbours)| neighbours.seen_at())
            .unwrap_or_default()
    }

    /// Has nothing to do with somebody for a while.
    pub(super) fn distrust(&mut self, peer: Member) {
        let now = self.now();
        if let Some((_, neighbours)) = &mut self.near {
            neighbours.distrust(now, peer);
        }
    }

    /// Returns the tunnels that shall be there.
    pub(super) fn tunnels(&self) -> Tunnels {
        let near = self.near.iter();
        near.flat_map(|(_, neighbours)| neighbours.tunnels(self.now()))
            .collect()
    }

    /// Returns who is near, and who shall be.
    pub(super) fn nearby(&self) -> Nearby {
        let near = self.near.as_ref();
        near.map(|(_, neighbours)| neighbours.nearby(self.now()))
            .unwrap_or_default()
    }

    /// Returns the numbers of whom must be reached.
    pub(super) fn wanted(&self) -> BTreeSet<u32> {
        let near = self.near.iter();
        near.flat_map(|(_, neighbours)| neighbours.wanted())
            .map(|member| member.0)
            .collect()
    }

    /// Has somebody asked for a tunnel before all others, and told whether we reach nobody else.
    pub(super) fn seek(&mut self, peer: Member, in_need: bool) {
        let now = self.now();
        if let Some((_, neighbours)) = &mut self.near {
            neighbours.seek(now, peer, in_need);
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.near
            .as_ref()
            .is_some_and(|(_, neighbours)| neighbours.is_draining())
    }

    /// Asks the resolver, without waiting for it.
    pub(super) fn resolve(&mut self, names: Vec<(Reference, String)>) {
        for (peer, name) in names {
            self.resolving.spawn(async move {
                let found = resolve(&name).await;
                (peer, name, found)
            });
        }
    }

    /// Lives until tunnels come or go, or shall be used otherwise, or it is known where somebody is, or for as long as it is told.
    pub(super) async fn until_moved(&mut self, pause: Duration, endpoints: &mut Endpoints) {
        let end = Instant::now() + pause;
        let (mut datagram, mut call) = ([0; LONGEST], [0; LONGEST]);
        loop {
            let Some((_, neighbours)) = &mut self.near else {
                return tokio::time::sleep_until(end).await;
            };
            if neighbours.has_moved() {
                return;
            }
            self.speak();
            let due = self.due().unwrap_or(end).min(end);
            tokio::select! {
                // What came in the meantime counts before it is too late for it.
                biased;
                heard = hear(self.ear.as_ref(), &mut datagram) => match heard {
                    Ok((from, length)) => self.take(from, &datagram[..length]),
                    Err(err) => {
                        tracing::warn!(error = %words(&err), "neighbours are not heard");
                        self.ear = None;
                        return;
                    }
                },
                called = hear(self.porch.as_ref(), &mut call) => match called {
                    Ok((_, length)) => self.take_call(&call[..length]),
                    Err(err) => {
                        tracing::warn!(error = %words(&err), "calls are not heard");
                        self.porch = None;
                        return;
                    }
                },
                Some(Ok((peer, name, found))) = self.resolving.join_next() => {
                    endpoints.answer(&peer, &name, found);
                    return;
                }
                () = sleep_until(due) => {
                    if Instant::now() >= end {
                        return;
                    }
                    let now = self.now();
                    if let Some((_, neighbours)) = &mut self.near {
                        neighbours.handle_timeout(now);
                    }
                }
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        let (_, neighbours) = self.near.as_ref()?;
        // A moment that is very far away is none.
        self.begun.checked_add(neighbours.poll_timeout())
    }

    /// Says what there is to say; what cannot be said now is lost, as a datagram may be.
    fn speak(&mut self) {
        let (Some((at, neighbours)), Some(ear)) = (&mut self.near, &self.ear) else {
            return;
        };
        while let Some((to, message)) = neighbours.poll_send() {
            if matches!(message, Message::Ask { .. })
                && let (Some(porch), Some(there)) = (&self.porch, self.others.get(&to))
            {
                let call = Message::Call(number_of(*at));
                // Where no route leads there yet it is not heard, as if it were not said.
                let _ = porch.say(there.door, &call.encode());
            }
            tracing::trace!(me = number_of(*at), to = to.0, ?message, "says");
            let to = policy::link_address(*at, to);
            if let Err(err) = ear.say(to, &message.encode()) {
                tracing::debug!(%to, error = %words(&err), "a datagram was not sent");
            }
        }
    }

    fn take_call(&mut self, datagram: &[u8]) {
        let now = self.now();
        if let Some((_, neighbours)) = &mut self.near
            && let Some(Message::Call(from)) = Message::decode(datagram)
        {
            neighbours.hear_call(now, Member(from));
        }
    }

    fn take(&mut self, from: Ipv6Addr, datagram: &[u8]) {
        let now = self.now();
        let Some((at, neighbours)) = &mut self.near else {
            return;
        };
        let Some(message) = Message::decode(datagram) else {
            tracing::debug!(%from, "a datagram is not understood");
            return;
        };
        if policy::link_network(*at).contains(&from) {
            neighbours.receive(now, Member(number_of(from)), message);
        }
    }
}

/// Waits for a datagram; for ever where nothing is open.
async fn hear<E: Ear>(ear: Option<&E>, into: &mut [u8]) -> io::Result<(Ipv6Addr, usize)> {
    match ear {
        Some(ear) => ear.hear(into).await,
        None => std::future::pending().await,
    }
}
