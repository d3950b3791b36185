//! Keeps the links as the membership and the neighbours say, and `node.json` and `babeld.conf` as the links are.

mod live;
mod way;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::Duration;

use sd_notify::NotifyState;
use slapbox_overlay::babel::Babel;
use slapbox_overlay::keys::PrivateKey;
use slapbox_overlay::links::{Desired, Observed, ObservedPeer};
use tokio::sync::watch;
use tokio::time::Instant;

use super::credentials::Source;
use super::document::Document;
use super::endpoints::Endpoints;
use super::machine::Machine;
use super::membership::Membership;
use super::names::Counts;
use super::report::{Report, note, report};
use super::status::{State, Status, status};
use super::{Places, metrics, policy};
use crate::disk::{self, Access};
use crate::mesh::Member;
use crate::reference::Reference;
use crate::wire::Peer;
use crate::words::words;
use live::Live;
use way::{Around, Planned, Way};

/// How often to look while others cannot be reached, at first and when that lasts, and when they can.
const CONNECTING: Duration = Duration::from_millis(500);
const STILL_CONNECTING: Duration = Duration::from_secs(2);
const CONNECTED: Duration = Duration::from_secs(5);
/// How often while a tunnel is being drained.
const DRAINING: Duration = Duration::from_secs(1);
/// When it lasts.
const LONG: Duration = Duration::from_secs(60);
/// How often to tell babeld again, which may have been restarted by somebody.
const BABEL: Duration = Duration::from_secs(60);
/// How often to compare all links with what they shall be; in between, what others took away is not noticed.
const THOROUGH: Duration = Duration::from_secs(30);
/// How often to look who announces what, and for how long it is told who announced what is another's.
const ORIGINS: Duration = Duration::from_secs(10);
const TOLD: Duration = Duration::from_secs(3600);
/// How often to write times and counts.
const AGES: Duration = Duration::from_secs(30);

/// What the loop remembers from pass to pass.
#[derive(Debug, Default)]
struct Memory {
    endpoints: Endpoints,
    way: Way,
    /// The version of the network whose members the endpoints are of.
    version: Option<u64>,
    observed: Observed,
    /// The links that were found to be as desired, and when.
    settled: Option<(Desired, Instant)>,
    complaints: Vec<String>,
    told_babel: Option<(Babel, Instant)>,
    asked_origins: Option<Instant>,
    /// The last lie, in words, and when it was heard.
    lie: Option<(String, Instant)>,
    written: Option<(Status, Instant)>,
    /// When the metrics were written.
    measured: Option<Instant>,
}

/// What others of this node are told by the loop, or tell it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    /// What was asked of the names.
    pub(super) counts: &'a Counts,
    /// For the registry's map.
    pub(super) told: &'a watch::Sender<Report>,
    /// At which addresses neighbours see this node.
    pub(super) seen: &'a watch::Sender<Vec<SocketAddr>>,
}

/// Keeps the links, for ever.
pub(super) async fn keep<M: Machine>(
    machine: &M,
    source: &Source,
    places: &Places,
    key: &PrivateKey,
    mut membership: watch::Receiver<Membership>,
    said: &Said<'_>,
) {
    let mut memory = Memory::default();
    let mut live = Live::new();
    let mut ready = false;
    let mut connected = Instant::now();
    loop {
        let known = membership.borrow_and_update().clone();
        let document = known.document.as_ref();
        let problem = match document {
            Some(document) => {
                let planned = look_for_host(source, document, &mut live, &mut memory);
                let planned = planned.as_ref();
                realise(
                    machine,
                    places,
                    key,
                    document,
                    planned,
                    &mut live,
                    &mut memory,
                )
                .await
            }
            None => None,
        };
        let problem = problem.or(known.problem).or_else(|| memory.way.problem());
        let near = live.nearby();
        let now = status(document, &near, &memory.observed, problem.as_deref());
        let pause = match now.state {
            State::Connected => {
                connected = Instant::now();
                if live.is_draining() {
                    DRAINING
                } else {
                    CONNECTED
                }
            }
            State::Connecting if connected.elapsed() < LONG => CONNECTING,
            State::Connecting => STILL_CONNECTING,
        };
        note(said.told, report(&now));
        tell(now, places, said.counts, &mut memory, &mut ready);
        tell_seen(said.seen, live.seen_at());
        tokio::select! {
            changed = membership.changed() => if changed.is_err() { return },
            () = live.until_moved(pause, &mut memory.endpoints) => {}
            () = memory.way.moved() => {}
        }
    }
}

/// Decides by which way the registry's computer is looked for, and has it asked for a tunnel where nobody else is reached.
fn look_for_host<'a, M: Machine>(
    source: &Source,
    document: &'a Document,
    live: &mut Live<M>,
    memory: &mut Memory,
) -> Option<Planned<'a>> {
    live.begin(document);
    let (tunnels, asks) = (live.tunnels(), !live.wanted().is_empty());
    let Memory {
        way,
        endpoints,
        observed,
        ..
    } = memory;
    let addresses = |peer: &Reference| endpoints.addresses_of(peer);
    let around = Around {
        source,
        tunnels: &tunnels,
        observed,
        asks,
        now: Instant::now(),
    };
    let planned = way.step(document, &around, addresses)?;
    if planned.plan.seek {
        live.seek(Member(planned.peer.number()), planned.plan.in_need);
    }
    Some(planned)
}

/// Makes links and babeld as the document, the neighbours and what is planned for the registry's computer say; returns in words what went wrong.
async fn realise<M: Machine>(
    machine: &M,
    places: &Places,
    key: &PrivateKey,
    document: &Document,
    planned: Option<&Planned<'_>>,
    live: &mut Live<M>,
    memory: &mut Memory,
) -> Option<String> {
    let tunnels = live.tunnels();
    let endpoints = find(document, planned, live, memory);
    let mut desired = policy::desired(document, key, &endpoints, &tunnels);
    if let Some(planned) = planned {
        planned.apply(&mut desired);
    }
    let socket = places.babel_socket.to_string();
    let babel = policy::babel(document, &tunnels, socket);
    let left = leave(machine, &babel, memory).await;
    let links = realise_links(machine, &desired, memory).await;
    let listens = live.listen(machine, document);
    let routing = realise_babel(machine, places, babel, memory).await;
    let lies = check_origins(machine, document, live, memory).await;
    live.know(document);
    live.weigh(policy::uses(document, &tunnels, &memory.observed));
    live.see(&policy::seen(document, &tunnels, &memory.observed));
    let all = [left, links, listens, routing, lies];
    all.into_iter().find_map(Result::err)
}

/// Returns where peers are, and has the resolver asked where that is due.
fn find<M: Machine>(
    document: &Document,
    planned: Option<&Planned<'_>>,
    live: &mut Live<M>,
    memory: &mut Memory,
) -> BTreeMap<Reference, SocketAddr> {
    let version = document.joined.view.version;
    if memory.version != Some(version) {
        memory.endpoints.set_names(policy::endpoint_names(document));
        memory.version = Some(version);
    }
    let wanted = live.wanted();
    let peers = document.joined.view.peers.iter();
    let wanted = peers.filter(|peer| wanted.contains(&peer.number()));
    let is_alive = |peer: &&Peer| {
        let found = memory.observed.peer(&peer.wireguard_public_key);
        found.is_some_and(ObservedPeer::is_alive)
    };
    let (mut wanted, alive): (BTreeSet<_>, Vec<_>) = wanted
        .map(|peer| {
            let alive = is_alive(&peer).then(|| peer.reference.clone());
            (peer.reference.clone(), alive)
        })
        .unzip();
    let mut alive: BTreeSet<Reference> = alive.into_iter().flatten().collect();
    let now = Instant::now();
    if let Some(Planned { peer, plan }) = planned
        && plan.seek
    {
        // Nobody answers, whatever WireGuard heard minutes ago.
        wanted.insert(peer.reference.clone());
        alive.remove(&peer.reference);
    }
    let due = memory
        .endpoints
        .ask(&wanted, |peer| alive.contains(peer), now);
    live.resolve(due);
    let mut chosen = memory
        .endpoints
        .choose(&wanted, |peer| alive.contains(peer), now);
    if let Some(Planned { peer, plan }) = planned
        && let Some(to) = plan.to
    {
        chosen.insert(peer.reference.clone(), to);
    }
    chosen
}

/// Tells at which addresses neighbours see this node; who is seen by nobody just now was not moved by that.
fn tell_seen(seen: &watch::Sender<Vec<SocketAddr>>, seen_at: Vec<SocketAddr>) {
    seen.send_if_modified(|known| {
        let is_new = !seen_at.is_empty() && *known != seen_at;
        if is_new {
            *known = seen_at;
        }
        is_new
    });
}

/// Has babeld leave the tunnels that shall go, before they go: the sooner it knows, the shorter nobody has a way.
async fn leave<M: Machine>(machine: &M, babel: &Babel, memory: &mut Memory) -> Result<(), String> {
    let Some((told, since)) = &memory.told_babel else {
        return Ok(());
    };
    if told.interfaces.is_subset(&babel.interfaces) {
        return Ok(());
    }
    let both = told.interfaces.intersection(&babel.interfaces);
    let fewer = Babel {
        interfaces: both.cloned().collect(),
        ..told.clone()
    };
    let since = *since;
    let running = machine.babel(&fewer).await.map_err(|err| words(&err))?;
    memory.told_babel = running.then_some((fewer, since));
    Ok(())
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

/// Has nothing to do any more with neighbours who announce what is another's; returns in words who did.
async fn check_origins<M: Machine>(
    machine: &M,
    document: &Document,
    live: &mut Live<M>,
    memory: &mut Memory,
) -> Result<(), String> {
    if let Some((babel, _)) = &memory.told_babel
        && memory
            .asked_origins
            .is_none_or(|it| it.elapsed() >= ORIGINS)
    {
        memory.asked_origins = Some(Instant::now());
        let origins = machine.origins(babel).await.map_err(|err| words(&err))?;
        for (liar, member, owner) in policy::liars(document, &origins) {
            let lie = format!("{liar} announces the prefix of {owner}: it gets no tunnel");
            tracing::error!(lie, "a neighbour is not honest");
            memory.lie = Some((lie, Instant::now()));
            live.distrust(member);
        }
    }
    match &memory.lie {
        Some((lie, when)) if when.elapsed() < TOLD => Err(lie.clone()),
        _ => Ok(()),
    }
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
fn tell(now: Status, places: &Places, counts: &Counts, memory: &mut Memory, ready: &mut bool) {
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
    let is_old = |(before, since): &(Status, Instant)| {
        now.asks_others_than(before) || *before != now && since.elapsed() >= AGES
    };
    let writes = differs || before.is_some_and(is_old);
    // Who reads them takes old ones for those of a node that is dead.
    if differs || memory.measured.is_none_or(|it| it.elapsed() >= AGES) {
        memory.measured = Some(Instant::now());
        if let Err(err) = write_metrics(&now, counts, places) {
            tracing::error!(error = err, "metrics.prom is not written");
        }
    }
    if writes {
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

fn write_metrics(status: &Status, counts: &Counts, places: &Places) -> Result<(), String> {
    let text = metrics::metrics(status, counts.all()).map_err(|err| words(&err))?;
    let path = places.run.join("metrics.prom");
    disk::replace(&path, Access::Public, text.as_bytes()).map_err(|err| words(&err))
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(err) = sd_notify::notify(state) {
        tracing::warn!(error = &err as &dyn StdError, "systemd does not listen");
    }
}
