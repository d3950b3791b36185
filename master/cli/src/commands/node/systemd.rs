//! systemd of this machine, asked with `systemctl`.

use std::process::Output;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

/// The agent.
pub(in crate::commands) const AGENT: &str = "slapbox-agent.service";
/// The overlay's daemon.
pub(in crate::commands) const OVERLAY: &str = "slapbox-re6st.service";
/// Starts the overlay's routing once it has its configuration.
pub(in crate::commands) const ROUTING: &str = "slapbox-babeld.path";
/// Has resolved ask for the overlay's names, where there is a resolved.
pub(in crate::commands) const NAMES: &str = "slapbox-names.path";
/// Debian's own routing, which would use the same port.
pub(in crate::commands) const DEBIANS_BABEL: &str = "babeld.service";

/// Whether a unit runs.
pub(in crate::commands) async fn is_active(unit: &str) -> Result<bool> {
    Ok(ask(&["is-active", "--quiet", unit]).await?.status.success())
}

/// Whether a unit runs or will at the next boot.
pub(in crate::commands) async fn is_in_use(unit: &str) -> Result<bool> {
    let enabled = ask(&["is-enabled", "--quiet", unit]).await?;
    Ok(enabled.status.success() || is_active(unit).await?)
}

/// How often systemd has had to start a unit anew.
pub(in crate::commands) async fn restarts(unit: &str) -> Result<u32> {
    let said = ask(&["show", "--property=NRestarts", "--value", unit]).await?;
    let number = String::from_utf8_lossy(&said.stdout);
    Ok(number.trim().parse().unwrap_or(0))
}

/// Has systemd do something.
pub(in crate::commands) async fn tell(words: &[&str]) -> Result<()> {
    let said = ask(words).await?;
    if said.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&said.stderr);
    bail!(
        "`systemctl {}` failed: {}",
        words.join(" "),
        complaint.trim()
    )
}

async fn ask(words: &[&str]) -> Result<Output> {
    let mut command = Command::new("systemctl");
    let ended = command.args(words).output().await;
    ended.context("cannot run `systemctl`: a node needs systemd")
}
