//! Does for root what the workload does not do by itself, or not yet. What it begins is found by the next pass.

use camino::Utf8PathBuf;
use tokio::sync::watch;

use super::Workload;
use super::crew::Crew;
use super::leftovers::Leftovers;
use crate::control::Chores;
use crate::desired::{PartitionName, SoftwareUrl};
use crate::observed::Software;
use crate::software::ReleaseId;
use crate::software::installer::{Installer, PruneError};

/// Who does it.
#[derive(Clone, Debug)]
pub struct Steward {
    installer: Installer,
    crew: Crew,
    leftovers: Leftovers,
    changes: watch::Receiver<u64>,
}

impl Steward {
    pub(super) fn of(workload: &Workload) -> Self {
        Self {
            installer: workload.installer.clone(),
            crew: workload.crew.clone(),
            leftovers: workload.leftovers.clone(),
            changes: workload.changes(),
        }
    }

    /// Waits until nobody works on a release; returns what it is then.
    async fn settled(&self, id: &ReleaseId) -> Software {
        let mut changes = self.changes.clone();
        loop {
            changes.mark_unchanged();
            let found = self.installer.observe_id(id);
            let is_at_work = matches!(found, Software::Installing | Software::Removing);
            if !is_at_work || changes.changed().await.is_err() {
                return found;
            }
        }
    }
}

impl Chores for Steward {
    fn process_again(&self, partitions: &[PartitionName]) {
        let mut memory = self.crew.memory();
        for partition in partitions {
            memory.of(*partition).ask_again();
        }
    }

    async fn build_again(&self, release: &SoftwareUrl) -> Result<(), String> {
        self.installer.build_again(release);
        match self.settled(&ReleaseId::of(release)).await {
            Software::Available => Ok(()),
            Software::Failed { log, .. } => Err(log),
            Software::Absent | Software::Installing | Software::Removing => {
                Err("it is to be removed".to_owned())
            }
        }
    }

    fn collect(&self) {
        self.leftovers.ask();
    }

    async fn collected(&self) -> Result<Vec<ReleaseId>, String> {
        let gone = self.leftovers.answer();
        for id in &gone {
            if let Software::Failed { log, .. } = self.settled(id).await {
                return Err(format!("the release {id} cannot be removed: {log}"));
            }
        }
        Ok(gone)
    }

    async fn prune(
        &self,
        dry_run: bool,
        more: Vec<Utf8PathBuf>,
    ) -> Result<Vec<String>, PruneError> {
        let parts = self.installer.prune(dry_run, more).await?;
        Ok(parts.iter().map(ToString::to_string).collect())
    }
}
