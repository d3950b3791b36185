//! A simulated node: what it calls, and when, is what our agent does.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use slap::ComputerId;
use slap::v1::Watched;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::MINUTE;
use crate::figures::master::enrolment::Enrolled;
use crate::load::{Line, Tally, Target, get};

/// How long the agent keeps a connection that it does not use.
const IDLE: Duration = Duration::from_secs(5);
const AFTER_A_FAILURE: Duration = Duration::from_secs(2);

/// A node.
pub(super) struct Node {
    pub(super) computer: ComputerId,
    pub(super) target: Target,
}

/// A node whose held poll was answered with something new.
pub(super) struct Woken {
    pub(super) computer: ComputerId,
    pub(super) at: Instant,
}

/// What all nodes lived through since somebody looked last.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Lived>);

#[derive(Default)]
pub(super) struct Lived {
    /// Polls, from the call to the answer.
    pub(super) polls: Tally,
    /// The same, from the beginning of the connection.
    pub(super) connected: Tally,
    /// Held polls.
    pub(super) watches: Tally,
}

impl Lived {
    pub(super) fn errors(&self) -> usize {
        self.connected.errors + self.watches.errors
    }
}

impl Ledger {
    /// Takes what was lived through, for a new beginning.
    pub(super) fn take(&self) -> Lived {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, what: impl FnOnce(&mut Lived)) {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Node {
    pub(super) fn new(enrolled: &Enrolled, address: SocketAddr) -> Result<Self> {
        Ok(Self {
            computer: enrolled.reference.parse().context("a computer's name")?,
            target: enrolled.target(address)?,
        })
    }

    /// Has the node poll and watch, from so long on.
    pub(super) fn live(
        &self,
        crowd: &mut JoinSet<()>,
        start: Duration,
        ledger: &Arc<Ledger>,
        woken: &mpsc::UnboundedSender<Woken>,
    ) {
        let wake = Arc::new(Notify::new());
        let watching = Watching {
            computer: self.computer.clone(),
            line: Line::to(self.target.clone()),
            since: u64::MAX,
            ledger: Arc::clone(ledger),
            woken: woken.clone(),
            wake: Arc::clone(&wake),
        };
        crowd.spawn(watching.run(start));
        let polling = Polling {
            path: format!("/getFullComputerInformation?computer_id={}", self.computer),
            line: Line::to(self.target.clone()),
            tag: None,
            ledger: Arc::clone(ledger),
            wake,
        };
        crowd.spawn(polling.run(start));
    }
}

/// The one connection that is always there.
struct Watching {
    computer: ComputerId,
    line: Line,
    since: u64,
    ledger: Arc<Ledger>,
    woken: mpsc::UnboundedSender<Woken>,
    wake: Arc<Notify>,
}

impl Watching {
    async fn run(mut self, start: Duration) {
        sleep(start).await;
        loop {
            let asked = Instant::now();
            let generation = self.ask().await;
            self.ledger
                .write(|it| it.watches.count(asked.elapsed(), generation.is_ok()));
            match generation {
                Ok(generation) if generation != self.since => {
                    self.since = generation;
                    let at = Instant::now();
                    let computer = self.computer.clone();
                    // Nobody asks any more when the bench is at its end.
                    let _ = self.woken.send(Woken { computer, at });
                    self.wake.notify_one();
                }
                Ok(_) => {}
                Err(_) => sleep(AFTER_A_FAILURE).await,
            }
        }
    }

    async fn ask(&mut self) -> Result<u64> {
        let path = format!(
            "/v1/watch?computer_id={}&since={}",
            self.computer, self.since
        );
        let answer = self.line.ask(&get(&path, "")).await?;
        answer.must_be_good()?;
        let watched: Watched = serde_json::from_slice(answer.body).context("no generation")?;
        Ok(watched.generation)
    }
}

/// The connection that comes and goes.
struct Polling {
    path: String,
    line: Line,
    tag: Option<String>,
    ledger: Arc<Ledger>,
    wake: Arc<Notify>,
}

impl Polling {
    async fn run(mut self, start: Duration) {
        sleep(start).await;
        loop {
            let due = Instant::now() + MINUTE;
            self.poll().await;
            if timeout(IDLE, self.wake.notified()).await.is_ok() {
                continue;
            }
            self.line.close().await;
            let rest = due.saturating_duration_since(Instant::now());
            // Woken or not, it asks.
            let _ = timeout(rest, self.wake.notified()).await;
        }
    }

    async fn poll(&mut self) {
        let known = self.tag.as_ref();
        let call = get(
            &self.path,
            &known.map_or_else(String::new, |tag| format!("If-None-Match: {tag}\r\n")),
        );
        let begun = Instant::now();
        let connected = self.line.connect().await;
        let asked = Instant::now();
        let told = match connected {
            Ok(()) => self.line.ask(&call).await,
            Err(error) => Err(error),
        };
        let good = match told {
            Ok(answer) if answer.status == 200 => {
                self.tag = answer.tag().map(str::to_owned);
                true
            }
            Ok(answer) => answer.status == 304,
            Err(_) => false,
        };
        self.ledger.write(|it| {
            it.polls.count(asked.elapsed(), good);
            it.connected.count(begun.elapsed(), good);
        });
    }
}
