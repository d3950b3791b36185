//! What partitions use, told in two ways.
//!
//! * What they say: their own programs write reports, which leave for the master in one document a day (`reports`, `collect`, `daily`).
//! * What is counted: each minute their cgroups are read and kept in a file a day (`sample`, `kernel`, `reading`, `store`, `measure`);
//!   a day that is over is summed up for the master (`tally`, `days`, `journal`).
//!
//! Documents wait on disk until the master has them (`outbox`, `send`). Nothing that a partition writes is believed; nothing that is to be
//! told is lost, or told twice.

mod collect;
mod daily;
mod day;
mod days;
mod files;
mod journal;
mod kernel;
mod measure;
mod outbox;
mod reading;
mod reports;
mod sample;
mod send;
mod store;
mod tally;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use slap::ComputerId;
use slap::v1::DayUsage;
use tokio::sync::watch;

use crate::places::Places;
use crate::reconcile::Upstream;
use crate::status::{Board, Failure};
use crate::systemd::Systemd;
use crate::workload::Paths;
use crate::world::World;

pub use day::Day;
pub use outbox::{Outbox, OutboxError};
pub use reports::{Farewell, FarewellError, collect_before_destroy};
pub use send::send_all;

/// Everything that counting and telling needs.
#[derive(Debug)]
pub struct Accounting<'a> {
    pub systemd: Systemd,
    pub paths: Paths,
    pub places: &'a Places,
    pub board: &'a Board,
    pub world: World,
    /// Who the master says that this computer is.
    pub computer: ComputerId,
    pub outbox: Outbox,
    pub troubles: Troubles,
    /// What the partitions used on the last whole day.
    pub last_day: watch::Sender<Option<DayUsage>>,
}

/// What is wrong, by the part that says so: each replaces its own.
#[derive(Debug, Default)]
pub struct Troubles(Mutex<BTreeMap<Part, Vec<Failure>>>);

/// The part of accounting that a failure belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Reports,
    Outbox,
    Days,
}

impl Accounting<'_> {
    /// Runs for ever.
    pub async fn run(&self, upstream: &impl Upstream) {
        self.recall_last_day();
        tokio::join!(self.report_daily(), self.measure(), self.send(upstream));
    }

    /// Shows what is wrong with a part now.
    fn note(&self, part: Part, failures: Vec<Failure>) {
        let all = {
            let mut parts = self.troubles.lock();
            parts.insert(part, failures);
            parts.values().flatten().cloned().collect()
        };
        self.board.update(|status| status.usage_failures = all);
    }

    /// Returns what is said to be wrong with a part.
    fn noted(&self, part: Part) -> Vec<Failure> {
        let parts = self.troubles.lock();
        parts.get(&part).cloned().unwrap_or_default()
    }
}

impl Troubles {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Part, Vec<Failure>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
