//! Where peers are: names are resolved, and of several addresses the one that answers is kept.
//!
//! Pure but for `resolve`: time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::reference::Reference;

/// How long an answer is good while the peer is heard, and while it is not.
const FRESH: Duration = Duration::from_secs(600);
const FRESH_IN_SILENCE: Duration = Duration::from_secs(30);
/// How long one address of a silent peer is tried before the next: WireGuard repeats its first packet every five seconds.
const PATIENCE: Duration = Duration::from_secs(6);
const RESOLVER_PATIENCE: Duration = Duration::from_secs(5);

/// What is known of where peers are.
#[derive(Clone, Debug, Default)]
pub(super) struct Endpoints {
    peers: BTreeMap<Reference, Endpoint>,
}

#[derive(Clone, Debug, Default)]
struct Endpoint {
    /// `host:port`, and what that means; the best come first.
    names: Vec<Name>,
    chosen: usize,
    /// Since when the chosen address has been tried, if it was in vain so far.
    tried: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Name {
    text: String,
    /// When the resolver was asked; never if it need not be.
    asked: Option<Instant>,
    addresses: Vec<SocketAddr>,
}

impl Name {
    fn new(text: String) -> Self {
        let addresses = text.parse().into_iter().collect();
        Self {
            text,
            asked: None,
            addresses,
        }
    }

    /// Whether the resolver shall be asked for it.
    fn is_due(&self, fresh: Duration, now: Instant) -> bool {
        let is_literal = self.text.parse::<SocketAddr>().is_ok();
        !is_literal && self.asked.is_none_or(|asked| now - asked >= fresh)
    }
}

impl Endpoint {
    fn addresses(&self) -> Vec<SocketAddr> {
        let mut known = BTreeSet::new();
        let all = self.names.iter().flat_map(|name| &name.addresses).copied();
        all.filter(|address| known.insert(*address)).collect()
    }

    /// Changes the names, and goes on with the address that was chosen, if it is still there and was not tried in vain.
    fn change(&mut self, change: impl FnOnce(&mut Vec<Name>)) {
        let current = self.addresses().get(self.chosen).copied();
        change(&mut self.names);
        let mut now = self.addresses().into_iter();
        let same = now.position(|address| Some(address) == current);
        self.chosen = same.filter(|_| self.tried.is_none()).unwrap_or(0);
        self.tried = None;
    }
}

impl Endpoints {
    /// Takes the names that are told; what is known of others is forgotten.
    pub(super) fn set_names(&mut self, names: BTreeMap<Reference, Vec<String>>) {
        self.peers.retain(|peer, _| names.contains_key(peer));
        for (peer, texts) in names {
            let known = self.peers.entry(peer).or_default();
            if known.names.iter().map(|name| &name.text).eq(&texts) {
                continue;
            }
            known.change(|names| {
                let mut before: BTreeMap<String, Name> = std::mem::take(names)
                    .into_iter()
                    .map(|name| (name.text.clone(), name))
                    .collect();
                let kept = |text: String| before.remove(&text).unwrap_or_else(|| Name::new(text));
                *names = texts.into_iter().map(kept).collect();
            });
        }
    }

    /// Returns the names to resolve of those who must be reached, and marks them as asked for.
    pub(super) fn ask(
        &mut self,
        wanted: &BTreeSet<Reference>,
        alive: impl Fn(&Reference) -> bool,
        now: Instant,
    ) -> Vec<(Reference, String)> {
        let mut due = Vec::new();
        for peer in wanted {
            let fresh = if alive(peer) { FRESH } else { FRESH_IN_SILENCE };
            let Some(known) = self.peers.get_mut(peer) else {
                continue;
            };
            for name in &mut known.names {
                if name.is_due(fresh, now) {
                    name.asked = Some(now);
                    due.push((peer.clone(), name.text.clone()));
                }
            }
        }
        due
    }

    /// Takes the answer for a name of a peer; none keeps what was known.
    pub(super) fn answer(&mut self, peer: &Reference, name: &str, addresses: Vec<SocketAddr>) {
        let Some(known) = self.peers.get_mut(peer) else {
            return;
        };
        if addresses.is_empty() {
            return;
        }
        known.change(|names| {
            if let Some(name) = names.iter_mut().find(|it| it.text == name) {
                name.addresses = addresses;
            }
        });
    }

    /// Returns all addresses of a peer, the best first.
    pub(super) fn addresses_of(&self, peer: &Reference) -> Vec<SocketAddr> {
        let known = self.peers.get(peer);
        known.map(Endpoint::addresses).unwrap_or_default()
    }

    /// Returns the address of each peer, moving on from those of whom must be reached and does not answer.
    pub(super) fn choose(
        &mut self,
        wanted: &BTreeSet<Reference>,
        alive: impl Fn(&Reference) -> bool,
        now: Instant,
    ) -> BTreeMap<Reference, SocketAddr> {
        let mut chosen = BTreeMap::new();
        for (peer, known) in &mut self.peers {
            if alive(peer) {
                known.tried = None;
            } else if wanted.contains(peer) && now - *known.tried.get_or_insert(now) >= PATIENCE {
                known.chosen += 1;
                known.tried = Some(now);
            }
            let addresses = known.addresses();
            if let Some(address) = addresses.get(known.chosen % addresses.len().max(1)) {
                known.chosen %= addresses.len();
                chosen.insert(peer.clone(), *address);
            }
        }
        chosen
    }
}

/// Returns the addresses of a `host:port`, none if the resolver does not know or does not answer.
pub(super) async fn resolve(name: &str) -> Vec<SocketAddr> {
    match timeout(RESOLVER_PATIENCE, tokio::net::lookup_host(name)).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(err)) => {
            tracing::warn!(%name, error = &err as &dyn std::error::Error, "an endpoint does not resolve");
            Vec::new()
        }
        Err(_) => {
            tracing::warn!(%name, "the resolver does not answer");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests;
