//! Sends reports as they come, one after the other; while the master is away they wait, and the newest word wins.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Queue;
use crate::enrol::Retry;
use crate::reconcile::Upstream;
use crate::status::Board;
use crate::workload::Report;

/// Runs until nobody can report any more. `chance` is between 0 and 1.
pub async fn send(
    upstream: &impl Upstream,
    mut reports: mpsc::Receiver<Report>,
    board: &Board,
    chance: fn() -> f64,
) {
    let mut queue = Queue::default();
    let mut retry = Retry::default();
    let mut pause = Duration::ZERO;
    loop {
        let Some(first) = queue.first().cloned() else {
            match reports.recv().await {
                Some(report) => take(&mut queue, board, report),
                None => return,
            }
            continue;
        };
        tokio::select! {
            biased;
            report = reports.recv(), if !reports.is_closed() || !reports.is_empty() => {
                if let Some(report) = report {
                    take(&mut queue, board, report);
                }
                continue;
            }
            () = sleep(pause) => {}
        }
        match upstream.report(&first).await {
            Ok(()) => {
                queue.sent(&first);
                retry.succeeded();
                pause = Duration::ZERO;
            }
            Err(error) if error.is_final() => {
                tracing::error!("the master does not take {first:?}: {error}");
                queue.sent(&first);
                pause = Duration::ZERO;
            }
            Err(error) => {
                pause = retry.failed(chance());
                tracing::warn!("{} reports wait: {error}", queue.waiting());
            }
        }
    }
}

/// Queues a report, and shows it.
fn take(queue: &mut Queue, board: &Board, report: Report) {
    if let Some((url, word)) = word(&report) {
        board.update(|status| {
            status.software.insert(url.to_owned(), word);
        });
    }
    queue.push(report);
}

fn word(report: &Report) -> Option<(&str, &'static str)> {
    match report {
        Report::SoftwareBuilding { url } => Some((url.as_str(), "installing")),
        Report::SoftwareAvailable { url } => Some((url.as_str(), "available")),
        Report::SoftwareDestroyed { url } => Some((url.as_str(), "removed")),
        Report::SoftwareError { url, .. } => Some((url.as_str(), "failed")),
        Report::Started { .. }
        | Report::Stopped { .. }
        | Report::Destroyed { .. }
        | Report::InstanceError { .. }
        | Report::Requested { .. }
        | Report::Bang { .. }
        | Report::Connection { .. }
        | Report::SharedConnection { .. } => None,
    }
}
