//! Starts what belongs to the box's role: the overlay's daemon on every box, master and registry on one that is a master.
//! Only starts and restarts units; what they do is theirs.

mod master;

use std::future::Future;

use zbus_systemd::systemd1::ManagerProxy;

use crate::systemd::Systemd;

pub use master::{files, local_join, login_line, prepare};

/// The overlay's daemon.
pub const OVERLAY: &str = "slapbox-re6st.service";
/// The overlay's registry.
pub const REGISTRY: &str = "slapbox-registry.service";
/// The master.
pub const MASTER: &str = "slapbox-master.service";

/// What the overlay's daemon needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlay {
    /// To run.
    Start,
    /// To read its files anew.
    Restart,
}

/// The service manager, as far as roles need it; a test has one of its own.
pub trait Services: Sync {
    /// Starts a unit unless it runs.
    fn start(&self, unit: &str) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Stops a unit if it runs, and starts it.
    fn restart(&self, unit: &str) -> impl Future<Output = anyhow::Result<()>> + Send;
}

impl Services for Systemd {
    async fn start(&self, unit: &str) -> anyhow::Result<()> {
        let manager = ManagerProxy::new(self.connection()).await.map_err(said)?;
        manager
            .start_unit(unit.to_owned(), "replace".to_owned())
            .await
            .map_err(said)?;
        Ok(())
    }

    async fn restart(&self, unit: &str) -> anyhow::Result<()> {
        let manager = ManagerProxy::new(self.connection()).await.map_err(said)?;
        manager
            .restart_unit(unit.to_owned(), "replace".to_owned())
            .await
            .map_err(said)?;
        Ok(())
    }
}

/// An error of the bus says its cause itself: a chain would say it twice.
fn said(error: zbus::Error) -> anyhow::Error {
    anyhow::anyhow!("{error}")
}
