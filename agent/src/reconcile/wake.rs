//! Why the loop wakes, and what wakes it. Each source only names the reason; the work is the loop's.

use std::fmt;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::ports::{Node, Upstream};
use crate::enrol::Retry;
use crate::places::Places;

/// As often as SLAP asks a node to look.
const EVERY: Duration = Duration::from_secs(60);
/// The file of the overlay's daemon is looked at that often; a change of prefix is rare and its first coming urgent.
const OVERLAY_EVERY: Duration = Duration::from_secs(1);

/// Why the loop wakes. Of several reasons the greatest counts: it does all that the others would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wake {
    /// A pass asked for another one by now.
    Again,
    /// Something on the node changed: a unit, an installed release.
    UnitChanged,
    /// The overlay's daemon said something new.
    OverlayChanged,
    /// The master wants something else.
    DesiredChanged,
    /// A minute is over.
    Timer,
    /// A person does not want to wait for that minute.
    Asked,
    /// The program has started.
    Started,
}

impl Wake {
    /// Whether what the master wants may be another than before.
    pub fn asks_the_master(self) -> bool {
        match self {
            Self::Started | Self::DesiredChanged | Self::Timer | Self::Asked => true,
            Self::UnitChanged | Self::OverlayChanged | Self::Again => false,
        }
    }

    /// Whether the partitions may be other than they were left.
    pub fn checks_the_partitions(self) -> bool {
        match self {
            Self::Started | Self::Timer | Self::Asked => true,
            Self::DesiredChanged | Self::UnitChanged | Self::OverlayChanged | Self::Again => false,
        }
    }
}

impl fmt::Display for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Started => "started",
            Self::Asked => "somebody asked",
            Self::DesiredChanged => "the master wants something else",
            Self::UnitChanged => "something on the node changed",
            Self::OverlayChanged => "the overlay changed",
            Self::Again => "the last pass asked for another",
            Self::Timer => "a minute is over",
        })
    }
}

/// The next reason to wake; those that came while the loop was busy are one. Changes on the node, which come by the hundred while many
/// instances change, are looked at together and not before `rested`; nothing else waits for that.
pub(super) async fn next(
    wakes: &mut mpsc::Receiver<Wake>,
    again: Option<Instant>,
    rested: Instant,
) -> Option<Wake> {
    let first = match again {
        None => wakes.recv().await?,
        Some(at) => match tokio::time::timeout_at(at, wakes.recv()).await {
            Ok(wake) => wake?,
            Err(_) => Wake::Again,
        },
    };
    let mut greatest = first;
    while greatest <= Wake::UnitChanged {
        match tokio::time::timeout_at(rested, wakes.recv()).await {
            Ok(Some(wake)) => greatest = greatest.max(wake),
            Ok(None) | Err(_) => break,
        }
    }
    while let Ok(wake) = wakes.try_recv() {
        greatest = greatest.max(wake);
    }
    Some(greatest)
}

/// Wakes at the start and each minute.
pub async fn tick(wakes: mpsc::Sender<Wake>) {
    let mut wake = Wake::Started;
    while wakes.send(wake).await.is_ok() {
        wake = Wake::Timer;
        sleep(EVERY).await;
    }
}

/// Wakes when somebody asks, by `systemctl reload`, not to wait for the next minute.
pub async fn follow_requests(mut asked: watch::Receiver<u64>, wakes: mpsc::Sender<Wake>) {
    while asked.changed().await.is_ok() {
        if wakes.send(Wake::Asked).await.is_err() {
            return;
        }
    }
}

/// Wakes when something on the node changed.
pub async fn follow_changes(node: &impl Node, wakes: mpsc::Sender<Wake>) {
    let mut changes = node.changes();
    while changes.changed().await.is_ok() {
        if wakes.send(Wake::UnitChanged).await.is_err() {
            return;
        }
    }
}

/// Wakes when the overlay's daemon says something new.
pub async fn follow_overlay(places: &Places, wakes: mpsc::Sender<Wake>) {
    let mut before = super::overlay::read(places);
    loop {
        sleep(OVERLAY_EVERY).await;
        let now = super::overlay::read(places);
        if now != before {
            before = now;
            if wakes.send(Wake::OverlayChanged).await.is_err() {
                return;
            }
        }
    }
}

/// Wakes when the master says that it wants something else. Ends if the master cannot say so: each minute is enough then.
pub async fn follow_master(
    upstream: &impl Upstream,
    wakes: mpsc::Sender<Wake>,
    chance: fn() -> f64,
) {
    let mut since = 0;
    let mut retry = Retry::default();
    loop {
        match upstream.watch(since).await {
            Ok(None) => return,
            Ok(Some(generation)) => {
                retry.succeeded();
                let moved = generation != std::mem::replace(&mut since, generation);
                if moved && wakes.send(Wake::DesiredChanged).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!("the master cannot be watched: {error}");
                sleep(retry.failed(chance())).await;
            }
        }
    }
}
