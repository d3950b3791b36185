//! Tells systemd how this program does: ready, what it is at, and alive as long as its tasks run.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::status::Status;

/// The program is up: it says everything else on the screen.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The program has heard that it shall reload, and done what that takes.
pub fn reloaded() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!("the time cannot be told: {error}"),
    }
    ready();
}

/// Tells systemd the state, and that the program lives.
pub async fn run(status: watch::Receiver<Status>) {
    let every = sd_notify::watchdog_enabled().map_or(Duration::from_secs(30), |within| within / 3);
    let mut before = String::new();
    loop {
        let words = words(&status.borrow());
        if words != before {
            tell(&[NotifyState::Status(&words)]);
            before = words;
        }
        tell(&[NotifyState::Watchdog]);
        sleep(every).await;
    }
}

fn words(status: &Status) -> String {
    match status.enrolment.reason() {
        Some(reason) => format!("{}: {reason}", status.enrolment.words()),
        None => format!(
            "{}, {} of {} partitions ready, {} used",
            status.enrolment.words(),
            status.partitions.ready,
            status.partitions.wanted,
            status.partitions.used
        ),
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!("systemd cannot be told: {error}");
    }
}
