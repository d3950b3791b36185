//! The loop of an enrolled box: it wakes for a named reason, learns what is wanted and what prefix it has, makes the
//! partitions, lets the workload converge, and says how it went. No error ends it; the next wake starts from scratch.

mod kept;
mod overlay;
mod ports;
mod wake;

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::Ipv6Net;
use slap::{ComputerConfiguration, ComputerId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::causes;
use crate::desired::{Desired, PartitionName, SoftwareUrl};
use crate::places::Places;
use crate::status::{Board, Enrolment, Failure, Part, Releases};
use crate::workload::{Converged, Heard, Report};
use crate::world::World;

pub use kept::desired as last_desired;
pub use overlay::{OverlayState, read as read_overlay};
pub use ports::{Kind, Made, Node, Upstream, UpstreamError};
pub use wake::{Wake, follow_changes, follow_master, follow_overlay, follow_requests, tick};

/// How many times as long as a pass took, changes on the node wait for the next one.
const RESTS: u32 = 4;

/// What the loop is told once.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// How many partitions the document says.
    pub partitions: u16,
    /// `COMP-2`.
    pub reference: ComputerId,
    /// The prefix that the document says; none if the overlay's daemon tells it.
    pub prefix: Option<Ipv6Net>,
}

/// What the loop remembers between two wakes.
struct Loop<'a, N, U> {
    node: &'a N,
    upstream: &'a U,
    places: &'a Places,
    board: &'a Board,
    wanted: Wanted,
    world: World,
    reports: mpsc::Sender<Report>,
    desired: Option<Desired>,
    prefix: Option<Ipv6Net>,
    /// Whether the partitions are as they should be.
    made: bool,
    /// Whether making them was tried: what exists is looked after even if others cannot be made.
    tried: bool,
    announced: Option<ComputerConfiguration>,
    failures: BTreeMap<Part, Vec<Failure>>,
}

/// Runs until nobody can wake it any more.
#[expect(clippy::too_many_arguments, reason = "each is another end of the loop")]
pub async fn run<N: Node, U: Upstream>(
    node: &N,
    upstream: &U,
    places: &Places,
    board: &Board,
    wanted: Wanted,
    world: World,
    mut wakes: mpsc::Receiver<Wake>,
    reports: mpsc::Sender<Report>,
) {
    let mut state = Loop {
        node,
        upstream,
        places,
        board,
        wanted,
        world,
        reports,
        desired: None,
        prefix: None,
        made: false,
        tried: false,
        announced: None,
        failures: BTreeMap::new(),
    };
    state.recall();
    let mut again: Option<Instant> = None;
    let mut rested = Instant::now();
    while let Some(wake) = wake::next(&mut wakes, again, rested).await {
        tracing::debug!("woke: {wake}");
        let is_look = wake.asks_the_master() && wake.checks_the_partitions();
        if is_look {
            board.look_begins();
        }
        let begun = Instant::now();
        again = state.pass(&wake).await.map(|after| Instant::now() + after);
        let took = begun.elapsed();
        rested = Instant::now() + took * RESTS;
        if is_look {
            board.look_ends();
        }
        if wake == Wake::Asked {
            let took = took.as_secs_f64();
            tracing::info!("looked at everything, as was asked, in {took:.3} s");
        }
    }
}

impl<N: Node, U: Upstream> Loop<'_, N, U> {
    /// Takes up what was known before the last restart, so that services start although the master is away.
    fn recall(&mut self) {
        match kept::desired(self.places) {
            Ok(desired) => self.desired = desired,
            Err(error) => self.note(Part::Kept, vec![failure(None, &error)]),
        }
        self.prefix = kept::prefix(self.places);
    }

    /// One pass. Returns when to come again at the latest.
    async fn pass(&mut self, wake: &Wake) -> Option<Duration> {
        self.look_at_overlay();
        let heard = if wake.asks_the_master() {
            self.fetch().await
        } else {
            Heard::Before
        };
        if wake.checks_the_partitions() || !self.made {
            self.make_partitions().await;
        }
        let next = match &self.desired {
            Some(desired) if self.tried => {
                let converged = self
                    .node
                    .converge(desired, heard, self.reports.clone())
                    .await;
                self.note_converged(converged)
            }
            Some(_) | None => None,
        };
        self.show_failures();
        if *wake == Wake::Asked {
            // Last: hundreds of programs that begin at once are what this pass would wait for.
            self.node.look_at_promises();
        }
        next
    }

    /// Takes the prefix that the document says, or the overlay's daemon.
    fn look_at_overlay(&mut self) {
        let overlay = match self.wanted.prefix {
            Some(prefix) => OverlayState::without(prefix),
            None => overlay::read(self.places),
        };
        if let Some(prefix) = overlay.prefix
            && self.prefix != Some(prefix)
        {
            self.prefix = Some(prefix);
            self.made = false;
            if let Err(error) = kept::keep_prefix(self.places, prefix) {
                tracing::error!("the prefix cannot be kept: {error:#}");
            }
        }
        self.board
            .update(|status| status.overlay = overlay.into_status());
    }

    /// Asks the master what it wants; says whether it was heard.
    async fn fetch(&mut self) -> Heard {
        match self.upstream.desired().await {
            Ok(desired) => {
                let now = self.world.seconds();
                let reference = self.wanted.reference.to_string();
                self.board.update(|status| {
                    status.last_contact = Some(now);
                    status.master_away = None;
                    status.enrolment = Enrolment::Enrolled { reference };
                });
                let mut failures: Vec<_> = desired
                    .refused
                    .iter()
                    .map(|(subject, message)| failure(Some(subject.clone()), message))
                    .collect();
                if self.desired.as_ref() != Some(&desired) {
                    if let Err(error) = kept::keep_desired(self.places, &desired) {
                        failures.push(failure(None, format_args!("{error:#}")));
                    }
                    self.desired = Some(desired);
                }
                self.note(Part::Fetch, failures);
                Heard::Now
            }
            Err(error) => {
                tracing::warn!("the desired state cannot be fetched: {error}");
                let reference = self.wanted.reference.to_string();
                self.board.update(|status| {
                    let reason = error.to_string();
                    if error.kind == Kind::Revoked {
                        status.enrolment = Enrolment::Revoked { reference, reason };
                    } else {
                        status.master_away = Some(reason);
                    }
                });
                Heard::Before
            }
        }
    }

    async fn make_partitions(&mut self) {
        let Some(prefix) = self.prefix else { return };
        self.tried = true;
        let Wanted {
            partitions,
            reference,
            ..
        } = &self.wanted;
        match self
            .node
            .make_partitions(*partitions, prefix, reference)
            .await
        {
            Ok(made) => {
                self.made = true;
                let named = |(name, message): (&PartitionName, &String)| {
                    failure(Some(name.to_string()), message)
                };
                let count = made.configuration.partitions.len() - made.failures.len();
                let whole = made
                    .node_failures
                    .iter()
                    .map(|message| failure(None, message));
                let failures = whole.chain(made.failures.iter().map(named)).collect();
                self.note(Part::Partitions, failures);
                if made.changed > 0 {
                    tracing::info!(
                        "partitions: {} changes in {:.2} s",
                        made.changed,
                        made.seconds
                    );
                }
                self.board.update(|status| {
                    // What a look at finished partitions took is not what making them took.
                    if made.changed > 0 || status.partitions.ready == 0 {
                        status.partitions.seconds = made.seconds;
                    }
                    status.partitions.ready = u16::try_from(count).unwrap_or(u16::MAX);
                });
                self.announce(made.configuration).await;
            }
            Err(error) => {
                self.made = false;
                tracing::error!("partitions cannot be made: {}", causes::in_one_line(&error));
                self.note(
                    Part::Partitions,
                    vec![failure(None, causes::in_one_line(&error))],
                );
            }
        }
    }

    /// Tells the master the partitions, at start and when they changed.
    async fn announce(&mut self, computer: ComputerConfiguration) {
        if self.announced.as_ref() == Some(&computer) {
            return;
        }
        match self.upstream.announce(&computer).await {
            Ok(()) => {
                self.announced = Some(computer);
                self.note(Part::Announce, Vec::new());
            }
            Err(error) => {
                let message = format!("the partitions cannot be announced: {error}");
                self.note(Part::Announce, vec![failure(None, message)]);
            }
        }
    }

    /// Takes down how a pass of the workload went; returns when it wants to be asked again.
    fn note_converged(&mut self, converged: Converged) -> Option<Duration> {
        let partitions = converged
            .failures
            .iter()
            .map(|(name, message)| failure(Some(name.to_string()), message));
        let software = converged
            .software_failures
            .iter()
            .map(|(url, message)| failure(Some(url.to_string()), message));
        let notes = converged.notes.iter();
        let notes = notes.map(|(url, message)| failure(Some(url.to_string()), message));
        self.note(Part::Cache, notes.collect());
        let whole = converged
            .failure
            .iter()
            .map(|message| failure(None, message));
        let failures = whole.chain(partitions).chain(software).collect();
        self.note(Part::Converge, failures);
        let used = self
            .desired
            .as_ref()
            .map_or(0, |desired| desired.partitions.len());
        self.board.update(|status| {
            status.instances.started = converged.started;
            status.instances.stopped = converged.stopped;
            status.instances.pending = converged.pending;
            status.partitions.used = used;
            if let Some(desired) = &self.desired {
                status.software = releases(desired, &converged, &status.software);
            }
        });
        converged.next_wake
    }

    fn note(&mut self, part: Part, mut failures: Vec<Failure>) {
        for failure in &mut failures {
            failure.part = part;
        }
        self.failures.insert(part, failures);
    }

    fn show_failures(&self) {
        let failures = self.failures.values().flatten().cloned().collect();
        self.board.update(|status| status.failures = failures);
    }
}

/// The releases that are wanted, each with the last word on it.
fn releases(desired: &Desired, converged: &Converged, before: &Releases) -> Releases {
    let release = |url: &SoftwareUrl| {
        let failed = converged.software_failures.contains_key(url);
        let word = if failed {
            "failed"
        } else {
            before.get(url.as_str()).copied().unwrap_or("wanted")
        };
        (url.to_string(), word)
    };
    desired.software.keys().map(release).collect()
}

fn failure(subject: Option<String>, message: impl std::fmt::Display) -> Failure {
    Failure {
        // Said by whoever notes it.
        part: Part::Converge,
        subject,
        message: message.to_string(),
    }
}

#[cfg(test)]
mod tests;
