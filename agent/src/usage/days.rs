//! A day that is over: summed up for the master's document and for the node's report, and packed.

use std::collections::BTreeMap;

use anyhow::Context as _;
use slap::PartitionId;
use slap::v1::{DayUsage, PartitionUsage};

use super::journal::of_day;
use super::outbox::{Entry, Told};
use super::reading::Subject;
use super::store::Store;
use super::tally::{Tally, Used};
use super::{Accounting, Day, sample};
use crate::disk;

/// What was used on the last day, for those who ask after a restart.
const LAST_DAY: &str = "last-day.json";

impl Accounting<'_> {
    /// Closes the days before this moment that are not closed yet, the oldest first. One that cannot be closed does not stop the others.
    pub(super) async fn close_days(&self, store: &Store, now: i64) -> anyhow::Result<()> {
        let today = Day::of(now);
        let open = store.days()?.into_iter().filter(|day| *day < today);
        let mut closed = Ok(());
        let mut any = false;
        for day in open {
            any = true;
            let this = self.close_day(store, day).await;
            closed = closed.and(this.with_context(|| format!("failed to close {day}")));
        }
        if any {
            store.prune(today)?;
        }
        closed
    }

    async fn close_day(&self, store: &Store, day: Day) -> anyhow::Result<()> {
        let mut tally = Tally::of(day);
        store.read(day, |record| tally.take(record))?;
        let used = tally.used();
        let making = self.outbox.making().await;
        let told = self.outbox.told()?.consumption;
        if day.is_due_after(told) {
            let processors = sample::processors(self.places);
            let told = Told {
                consumption: Some(day),
                ..Told::default()
            };
            match of_day(&self.computer, day, processors, &used) {
                Some(journal) => {
                    let entry = Entry::new(journal.to_xml(), [].into(), told);
                    self.outbox.put(&entry)?;
                }
                None => self.outbox.note(told)?,
            }
            self.keep_last(summary(day, &used))?;
        }
        drop(making);
        store.pack(day)?;
        Ok(())
    }

    fn keep_last(&self, last: DayUsage) -> anyhow::Result<()> {
        let json = serde_json::to_vec_pretty(&last)?;
        disk::replace_private(&self.paths.usage.join(LAST_DAY), &json)?;
        self.last_day.send_replace(Some(last));
        Ok(())
    }

    /// Takes up what was used on the last day before a restart.
    pub(super) fn recall_last_day(&self) {
        let path = self.paths.usage.join(LAST_DAY);
        let read = || -> anyhow::Result<Option<DayUsage>> {
            let json = disk::read(&path)?;
            Ok(json.map(|json| serde_json::from_slice(&json)).transpose()?)
        };
        match read() {
            Ok(last) => drop(self.last_day.send_replace(last)),
            // It is made anew tomorrow.
            Err(error) => tracing::warn!("{path}: {error:#}"),
        }
    }
}

/// What each partition used, as the node's report has it.
fn summary(day: Day, used: &BTreeMap<Subject, Used>) -> DayUsage {
    let partitions = used.iter().filter_map(|(subject, used)| match subject {
        Subject::Node => None,
        Subject::Partition(partition) => Some(PartitionUsage {
            partition: PartitionId::indexed(partition.index()),
            observed_seconds: used.seconds,
            cpu_seconds: used.cpu_micros as f64 / 1e6,
            memory_average_bytes: used.memory_average(),
            memory_peak_bytes: used.memory_peak,
            disk_bytes: used.disk,
            io_read_bytes: used.io_read,
            io_written_bytes: used.io_written,
            network_received_bytes: used.received,
            network_sent_bytes: used.sent,
            tasks_peak: used.tasks_peak,
        }),
    });
    DayUsage {
        date: day.to_string(),
        partitions: partitions.collect(),
    }
}

#[cfg(test)]
mod tests;
