//! Sends what is in the outbox, in its order. What the master refuses stays and holds up nothing else: whoever runs the master can
//! make it good.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::outbox::{Outbox, OutboxError};
use super::{Accounting, Part};
use crate::causes::in_one_line;
use crate::enrol::Retry;
use crate::reconcile::{Upstream, UpstreamError};
use crate::status::{self, Failure};

/// What the master refused is offered again so often.
const AGAIN: Duration = Duration::from_secs(3600);
/// What another one put there, against expectation.
const LOOK: Duration = Duration::from_secs(60);

/// What became of an attempt.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Documents that the master took.
    pub taken: usize,
    /// What it said of those that it did not want.
    pub refused: Vec<String>,
    /// Why it could not be asked for all.
    pub away: Option<String>,
}

/// Offers the master everything that waits, once.
pub async fn send_all(outbox: &Outbox, upstream: &impl Upstream) -> Result<Sent, OutboxError> {
    send_each(outbox, async |document| {
        upstream.report_usage(document).await
    })
    .await
}

async fn send_each(
    outbox: &Outbox,
    post: impl AsyncFn(&str) -> Result<(), UpstreamError>,
) -> Result<Sent, OutboxError> {
    let mut sent = Sent::default();
    for number in outbox.numbers()? {
        let Some(mut entry) = outbox.entry(number)? else {
            continue;
        };
        if let Some(document) = &entry.document {
            match post(document).await {
                Ok(()) => {
                    entry = outbox.taken(number, entry)?;
                    sent.taken += 1;
                }
                Err(error) if error.is_final() => {
                    sent.refused.push(error.to_string());
                    continue;
                }
                Err(error) => {
                    sent.away = Some(error.to_string());
                    break;
                }
            }
        }
        outbox.settle(number, &entry)?;
    }
    Ok(sent)
}

impl Accounting<'_> {
    /// Sends for ever.
    pub(super) async fn send(&self, upstream: &impl Upstream) {
        let mut retry = Retry::default();
        let mut changes = self.outbox.changes();
        loop {
            changes.mark_unchanged();
            let sent = send_all(&self.outbox, upstream).await;
            let pause = match &sent {
                Ok(Sent { away: Some(_), .. }) | Err(_) => retry.failed((self.world.chance)()),
                Ok(Sent { refused, .. }) => {
                    retry.succeeded();
                    if refused.is_empty() { LOOK } else { AGAIN }
                }
            };
            self.note(Part::Outbox, failures(&sent));
            if pause < LOOK {
                sleep(pause).await;
            } else {
                let _ = timeout(pause, changes.changed()).await;
            }
        }
    }
}

/// That the master is away is said elsewhere, and all that waits is safe.
fn failures(sent: &Result<Sent, OutboxError>) -> Vec<Failure> {
    let said = |message| Failure {
        part: status::Part::Usage,
        subject: None,
        message,
    };
    match sent {
        Err(error) => vec![said(in_one_line(error))],
        Ok(Sent { refused, away, .. }) => {
            if let Some(away) = away {
                tracing::debug!("usage waits: {away}");
            }
            let refused = refused.iter().take(1);
            let refused = refused
                .map(|words| said(format!("the master does not take what was used: {words}")));
            refused.collect()
        }
    }
}

#[cfg(test)]
mod tests;
