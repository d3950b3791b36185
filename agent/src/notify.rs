//! Tells systemd how this program does: ready, what it is at, and alive as long as its tasks run.

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::status::Status;

/// The program is up: it says everything else on the screen.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Hears from here on, all its life, that the program shall reload (`systemctl reload`), and tells systemd at once that it has: whoever
/// asks does not wait for more, and a box that is no node yet has nothing to look at. Returns how often that was.
pub fn requests() -> io::Result<watch::Receiver<u64>> {
    let mut asked = signal(SignalKind::hangup())?;
    let (count, counted) = watch::channel(0);
    tokio::spawn(async move {
        while asked.recv().await.is_some() {
            count.send_modify(|count| *count += 1);
            reloaded();
        }
    });
    Ok(counted)
}

fn reloaded() {
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
