//! What systemd is told. Nothing happens where there is none.

use sd_notify::NotifyState;

/// Tells systemd, if it started this process.
pub fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot notify systemd");
    }
}
