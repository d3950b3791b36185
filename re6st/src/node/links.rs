//! Keeps the links as the membership says, and `node.json` and `babeld.conf` as the links are.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::Duration;

use sd_notify::NotifyState;
use slapbox_overlay::babel::Babel;
use slapbox_overlay::keys::PrivateKey;
use slapbox_overlay::links::{Desired, Observed, ObservedPeer};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::document::Document;
use super::endpoints::{Endpoints, resolve};
use super::machine::Machine;
use super::membership::Membership;
use super::status::{State, Status, status};
use super::{Places, policy};
use crate::disk::{self, Access};
use crate::reference::Reference;
use crate::words::words;

/// How often to look while others cannot be reached, at first and when that lasts, and when they can.
const CONNECTING: Duration = Duration::from_millis(500);
const STILL_CONNECTING: Duration = Duration::from_secs(2);
const CONNECTED: Duration = Duration::from_secs(5);
/// When it lasts.
const LONG: Duration = Duration::from_secs(60);
/// How often to tell babeld again, which may have been restarted by somebody.
const BABEL: Duration = Duration::from_secs(60);
/// How often to compare all links with what they shall be; in between, what others took away is not noticed.
const THOROUGH: Duration = Duration::from_secs(30);
/// How often to write how old handshakes are.
const AGES: Duration = Duration::from_secs(30);

/// What the loop remembers from pass to pass.
#[derive(Debug, Default)]
struct Memory {
    endpoints: Endpoints,
    observed: Observed,
    /// The links that were found to be as desired, and when.
    settled: Option<(Desired, Instant)>,
    complaints: Vec<String>,
    told_babel: Option<(Babel, Instant)>,
    written: Option<(Status, Instant)>,
}

/// Keeps the links, for ever.
pub(super) async fn keep<M: Machine>(
    machine: &M,
    places: &Places,
    key: &PrivateKey,
    mut membership: watch::Receiver<Membership>,
) {
    let mut memory = Memory::default();
    let mut ready = false;
    let mut connected = Instant::now();
    loop {
        let known = membership.borrow_and_update().clone();
        let problem = match &known.document {
            Some(document) => realise(machine, places, key, document, &mut memory).await,
            None => None,
        };
        let problem = problem.or(known.problem);
        let now = status(
            known.document.as_ref(),
            &memory.observed,
            problem.as_deref(),
        );
        let pause = match now.state {
            State::Connected => {
                connected = Instant::now();
                CONNECTED
            }
            State::Connecting if connected.elapsed() < LONG => CONNECTING,
            State::Connecting => STILL_CONNECTING,
        };
        tell(now, places, &mut memory, &mut ready);
        tokio::select! {
            changed = membership.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Makes links and babeld as the document says; returns in words what went wrong.
async fn realise<M: Machine>(
    machine: &M,
    places: &Places,
    key: &PrivateKey,
    document: &Document,
    memory: &mut Memory,
) -> Option<String> {
    let endpoints = find(document, memory).await;
    let desired = policy::desired(document, key, &endpoints);
    let links = realise_links(machine, &desired, memory).await;
    let babel = policy::babel(document, places.babel_socket.to_string());
    let routing = realise_babel(machine, places, babel, memory).await;
    links.err().or(routing.err())
}

/// Returns where peers are, asking the resolver where that is due.
async fn find(document: &Document, memory: &mut Memory) -> BTreeMap<Reference, SocketAddr> {
    let alive: BTreeMap<_, _> = policy::peers(document)
        .map(|peer| {
            let wireguard = memory.observed.wireguard.as_ref();
            let found =
                wireguard.and_then(|wireguard| wireguard.peers.get(&peer.wireguard_public_key));
            (
                peer.reference.clone(),
                found.is_some_and(ObservedPeer::is_alive),
            )
        })
        .collect();
    let alive = |peer: &Reference| alive.get(peer).copied().unwrap_or_default();
    memory
        .endpoints
        .set_names(policy::endpoint_names(document), Instant::now());
    let mut asked = JoinSet::new();
    for (peer, name) in memory.endpoints.ask(alive, Instant::now()) {
        asked.spawn(async move { (peer, resolve(&name).await) });
    }
    for (peer, addresses) in asked.join_all().await {
        memory.endpoints.answer(&peer, addresses, Instant::now());
    }
    memory.endpoints.choose(alive, Instant::now())
}

async fn realise_links<M: Machine>(
    machine: &M,
    desired: &Desired,
    memory: &mut Memory,
) -> Result<(), String> {
    let settled = memory.settled.take();
    if let Some((found, since)) = settled
        && found == *desired
        && since.elapsed() < THOROUGH
    {
        let seen = machine.look_again(&memory.observed).await;
        memory.observed = seen.map_err(|err| words(&err))?;
        memory.settled = Some((found, since));
        return Ok(());
    }
    let outcome = machine.links(desired).await.map_err(|err| words(&err))?;
    memory.observed = outcome.observed;
    if outcome.changed == 0 && outcome.failures.is_empty() {
        memory.settled = Some((desired.clone(), Instant::now()));
    }
    if outcome.changed > 0 {
        tracing::info!(changed = outcome.changed, "changed links");
    }
    let complaints: Vec<_> = outcome
        .failures
        .iter()
        .map(|failure| words(failure))
        .collect();
    // The loop turns often; what it said already is not news.
    if complaints != memory.complaints {
        for problem in &complaints {
            tracing::warn!(problem, "a link is not as it should be");
        }
        memory.complaints.clone_from(&complaints);
    }
    complaints.into_iter().next().map_or(Ok(()), Err)
}

/// Writes babeld's file where it changed, then tells a running babeld; links come first, so that it finds them.
async fn realise_babel<M: Machine>(
    machine: &M,
    places: &Places,
    babel: Babel,
    memory: &mut Memory,
) -> Result<(), String> {
    let told = memory.told_babel.as_ref();
    if told.is_some_and(|(told, since)| *told == babel && since.elapsed() < BABEL) {
        return Ok(());
    }
    let path = places.run.join("babeld.conf");
    let before = disk::read(&path).map_err(|err| words(&err))?;
    let text = babel.render();
    if before.as_ref() != Some(&text) {
        disk::replace(&path, Access::Public, text.as_bytes()).map_err(|err| words(&err))?;
        tracing::info!(interfaces = babel.interfaces.len(), "wrote babeld.conf");
    }
    let other_base = before.is_some_and(|before| !before.starts_with(&babel.render_base()));
    if other_base {
        machine
            .restart_babel(&babel)
            .await
            .map_err(|err| words(&err))?;
    } else if machine.babel(&babel).await.map_err(|err| words(&err))? {
        memory.told_babel = Some((babel, Instant::now()));
    }
    Ok(())
}

/// Tells the agent, people and systemd how things are.
fn tell(now: Status, places: &Places, memory: &mut Memory, ready: &mut bool) {
    let before = memory.written.as_ref();
    let differs = before.is_none_or(|(before, _)| now.differs_from(before));
    if differs {
        tracing::info!(state = ?now.state, reason = now.reason, "overlay");
        let words = if now.reason.is_empty() {
            "connected"
        } else {
            &now.reason
        };
        notify(&[NotifyState::Status(words)]);
    }
    if differs || before.is_some_and(|(before, since)| *before != now && since.elapsed() >= AGES) {
        match write(&now, places) {
            Ok(()) => memory.written = Some((now, Instant::now())),
            Err(err) => tracing::error!(error = err, "node.json is not written"),
        }
    }
    if !std::mem::replace(ready, true) {
        notify(&[NotifyState::Ready]);
    }
    notify(&[NotifyState::Watchdog]);
}

fn write(status: &Status, places: &Places) -> Result<(), String> {
    let text = serde_json::to_vec_pretty(status).map_err(|err| words(&err))?;
    disk::replace(&places.run.join("node.json"), Access::Public, &text).map_err(|err| words(&err))
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(err) = sd_notify::notify(state) {
        tracing::warn!(error = &err as &dyn StdError, "systemd does not listen");
    }
}
