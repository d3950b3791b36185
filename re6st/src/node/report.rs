//! Tells the registry with whom the node has tunnels, so that somebody can see the whole network: when that changes, and now and then.
//!
//! Nothing depends on it: what cannot be told is told later.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::backoff::{chance, pause};
use super::credentials::{Registry, Source};
use super::status::{LinkState, Status};
use crate::wire::{LinkReport, LinksReport};
use crate::words::words;

/// After a change: what comes with it is told with it.
const SETTLE: Duration = Duration::from_secs(3);
/// Between two reports at least, and at most.
const LEAST: Duration = Duration::from_secs(60);
const MOST: Duration = Duration::from_secs(600);

/// What there is to tell; nothing before the node is in a network.
pub(super) type Report = Option<LinksReport>;

/// Returns what there is to tell of a node.
pub(super) fn report(status: &Status) -> Report {
    status.network?;
    let is_up = |state: LinkState| match state {
        LinkState::Up => true,
        LinkState::Down => false,
    };
    let links = status.links.iter().filter(|link| is_up(link.state));
    let link = links.map(|link| LinkReport {
        peer: link.peer.clone(),
        round_trip_ms: link.round_trip_ms,
    });
    Some(LinksReport {
        links: link.collect(),
    })
}

/// Keeps what there is to tell; only other tunnels are news, not other times.
pub(super) fn note(report: &watch::Sender<Report>, now: Report) {
    report.send_if_modified(|before| {
        let differs = peers(before) != peers(&now);
        *before = now;
        differs
    });
}

fn peers(report: &Report) -> Option<Vec<&str>> {
    let links = report.as_ref()?.links.iter();
    Some(links.map(|link| link.peer.as_str()).collect())
}

/// Tells, for ever.
pub(super) async fn keep(source: &Source, mut report: watch::Receiver<Report>) {
    let mut told: (Report, Instant) = (None, Instant::now());
    let (mut failures, mut attempt) = (0, 0);
    let mut registry = None;
    loop {
        let now = report.borrow_and_update().clone();
        let due = due(&told, &now);
        if due.is_none_or(|due| Instant::now() < due) {
            tokio::select! {
                changed = report.changed() => if changed.is_err() { return },
                () = until(due) => {}
            }
            continue;
        }
        let Some(now) = now else { continue };
        match tell(source, attempt, &mut registry, &now).await {
            Ok(()) => {
                failures = 0;
                told = (Some(now), Instant::now());
            }
            Err(problem) => {
                failures += 1;
                attempt += 1;
                tracing::debug!(%problem, failures, "tunnels were not told");
                sleep(pause(failures, chance())).await;
            }
        }
    }
}

/// Returns when to tell what there is now; nothing if there is nothing to tell.
fn due((told, at): &(Report, Instant), now: &Report) -> Option<Instant> {
    let there_is = now.as_ref()?;
    let differs = peers(told) != peers(now);
    let wait = match told {
        // A node that has just begun has tunnels in a moment.
        None if there_is.links.is_empty() => LEAST,
        None => SETTLE,
        Some(_) if differs => LEAST,
        Some(_) => MOST,
    };
    Some(*at + wait)
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn tell(
    source: &Source,
    attempt: usize,
    registry: &mut Option<Registry>,
    report: &LinksReport,
) -> Result<(), String> {
    let opened = source.open(attempt, registry.take());
    let opened = registry.insert(opened.map_err(|err| words(&err))?);
    let answer = opened.client.links(report).await;
    answer.map_err(|err| words(&err))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(peers: &[(&str, f64)]) -> Report {
        let link = |(peer, time): &(&str, f64)| LinkReport {
            peer: peer.parse().unwrap(),
            round_trip_ms: Some(*time),
        };
        Some(LinksReport {
            links: peers.iter().map(link).collect(),
        })
    }

    #[test]
    fn what_changes_is_told_soon_and_the_rest_seldom() {
        let now = Instant::now();
        let wait = |told: Report, is: Report| due(&(told, now), &is).map(|due| due - now);
        let one = report(&[("COMP-1", 1.0)]);
        assert_eq!(wait(None, None), None, "it is in no network");
        assert_eq!(wait(None, one.clone()), Some(SETTLE));
        assert_eq!(wait(None, report(&[])), Some(LEAST));
        assert_eq!(wait(one.clone(), report(&[])), Some(LEAST));
        assert_eq!(wait(one, report(&[("COMP-1", 9.0)])), Some(MOST));
    }

    #[test]
    fn other_times_are_kept_and_no_news() {
        let (sender, mut receiver) = watch::channel(None);
        note(&sender, report(&[("COMP-1", 1.0)]));
        assert!(receiver.has_changed().unwrap());
        receiver.mark_unchanged();
        note(&sender, report(&[("COMP-1", 2.0)]));
        assert!(!receiver.has_changed().unwrap());
        assert_eq!(*receiver.borrow(), report(&[("COMP-1", 2.0)]));
    }
}
