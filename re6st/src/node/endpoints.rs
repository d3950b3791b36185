//! Where peers are: names are resolved, and of several addresses the one that answers is kept.
//!
//! Pure but for `resolve`: time is an argument.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::reference::Reference;

/// How long an answer is good while the peer is heard, and while it is not.
const FRESH: Duration = Duration::from_secs(600);
const FRESH_IN_SILENCE: Duration = Duration::from_secs(30);
/// How long one address of a silent peer is tried before the next.
const PATIENCE: Duration = Duration::from_secs(15);
const RESOLVER_PATIENCE: Duration = Duration::from_secs(5);

/// What is known of where peers are.
#[derive(Clone, Debug, Default)]
pub(super) struct Endpoints {
    peers: BTreeMap<Reference, Endpoint>,
}

#[derive(Clone, Debug)]
struct Endpoint {
    name: String,
    asked: Option<Instant>,
    addresses: Vec<SocketAddr>,
    chosen: usize,
    since: Instant,
}

impl Endpoints {
    /// Takes the names that are told; what is known of others is forgotten.
    pub(super) fn set_names(&mut self, names: BTreeMap<Reference, String>, now: Instant) {
        self.peers
            .retain(|peer, known| names.get(peer) == Some(&known.name));
        for (peer, name) in names {
            let new = Endpoint {
                name,
                asked: None,
                addresses: Vec::new(),
                chosen: 0,
                since: now,
            };
            self.peers.entry(peer).or_insert(new);
        }
    }

    /// Returns the peers whose name should be resolved, and marks them as asked for.
    pub(super) fn ask(
        &mut self,
        alive: impl Fn(&Reference) -> bool,
        now: Instant,
    ) -> Vec<(Reference, String)> {
        let mut due = Vec::new();
        for (peer, known) in &mut self.peers {
            let fresh = if alive(peer) { FRESH } else { FRESH_IN_SILENCE };
            if known.asked.is_none_or(|asked| now - asked >= fresh) {
                known.asked = Some(now);
                due.push((peer.clone(), known.name.clone()));
            }
        }
        due
    }

    /// Takes the answer for a peer; none keeps what was known.
    pub(super) fn answer(&mut self, peer: &Reference, addresses: Vec<SocketAddr>, now: Instant) {
        if let Some(known) = self.peers.get_mut(peer)
            && !addresses.is_empty()
            && known.addresses != addresses
        {
            let current = known.addresses.get(known.chosen);
            known.chosen = current
                .and_then(|current| addresses.iter().position(|address| address == current))
                .unwrap_or(0);
            known.addresses = addresses;
            known.since = now;
        }
    }

    /// Returns the address of each peer, moving on from those that do not answer.
    pub(super) fn choose(
        &mut self,
        alive: impl Fn(&Reference) -> bool,
        now: Instant,
    ) -> BTreeMap<Reference, SocketAddr> {
        let mut chosen = BTreeMap::new();
        for (peer, known) in &mut self.peers {
            if alive(peer) {
                known.since = now;
            } else if now - known.since >= PATIENCE {
                known.chosen += 1;
                known.since = now;
            }
            if !known.addresses.is_empty() {
                known.chosen %= known.addresses.len();
                chosen.insert(peer.clone(), known.addresses[known.chosen]);
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
mod tests {
    use super::*;

    fn peer() -> Reference {
        "COMP-1".parse().unwrap()
    }

    fn addresses() -> Vec<SocketAddr> {
        vec![
            "192.0.2.1:6326".parse().unwrap(),
            "[2001:db8::1]:6326".parse().unwrap(),
        ]
    }

    fn known(now: Instant) -> Endpoints {
        let mut endpoints = Endpoints::default();
        endpoints.set_names([(peer(), "hub:6326".to_owned())].into(), now);
        assert_eq!(
            endpoints.ask(|_| false, now),
            [(peer(), "hub:6326".to_owned())]
        );
        endpoints.answer(&peer(), addresses(), now);
        endpoints
    }

    #[tokio::test]
    async fn a_silent_peer_is_tried_at_its_other_addresses() {
        let start = Instant::now();
        let mut endpoints = known(start);
        let chosen = |endpoints: &mut Endpoints, seconds| {
            endpoints.choose(|_| false, start + Duration::from_secs(seconds))[&peer()]
        };
        assert_eq!(chosen(&mut endpoints, 1), addresses()[0]);
        assert_eq!(chosen(&mut endpoints, 16), addresses()[1]);
        assert_eq!(chosen(&mut endpoints, 20), addresses()[1]);
        assert_eq!(chosen(&mut endpoints, 32), addresses()[0]);
    }

    #[tokio::test]
    async fn the_address_that_answers_is_kept_even_when_the_resolver_shuffles() {
        let start = Instant::now();
        let mut endpoints = known(start);
        endpoints.choose(|_| false, start + Duration::from_secs(16));
        endpoints.answer(&peer(), addresses().into_iter().rev().collect(), start);
        let chosen = endpoints.choose(|_| true, start + Duration::from_secs(3600));
        assert_eq!(chosen[&peer()], addresses()[1]);
    }

    #[tokio::test]
    async fn names_are_resolved_again_sooner_in_silence() {
        let start = Instant::now();
        let mut endpoints = known(start);
        let later = start + Duration::from_secs(60);
        assert!(endpoints.ask(|_| true, later).is_empty());
        assert_eq!(endpoints.ask(|_| false, later).len(), 1);
        endpoints.answer(&peer(), Vec::new(), later);
        assert_eq!(
            endpoints.choose(|_| true, later).len(),
            1,
            "no answer forgets nothing"
        );
        endpoints.set_names(BTreeMap::new(), later);
        assert!(endpoints.choose(|_| true, later).is_empty());
    }
}
