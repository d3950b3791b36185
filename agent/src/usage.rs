//! What partitions use. Their own programs say it in reports, which leave for the master in one document a day (`reports`, `outbox`).
//!
//! Nothing that a partition writes is believed; nothing that is to be told is lost, or told twice.

mod collect;
mod daily;
mod day;
mod journal;
mod outbox;
mod reports;
mod send;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use slap::ComputerId;

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
}

/// What is wrong, by the part that says so: each replaces its own.
#[derive(Debug, Default)]
pub struct Troubles(Mutex<BTreeMap<Part, Vec<Failure>>>);

/// The part of accounting that a failure belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Reports,
    Outbox,
}

impl Accounting<'_> {
    /// Runs for ever.
    pub async fn run(&self, upstream: &impl Upstream) {
        tokio::join!(self.report_daily(), self.send(upstream));
    }

    /// Shows what is wrong with a part now.
    fn note(&self, part: Part, failures: Vec<Failure>) {
        let all = {
            let mut parts = self
                .troubles
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            parts.insert(part, failures);
            parts.values().flatten().cloned().collect()
        };
        self.board.update(|status| status.usage_failures = all);
    }
}
