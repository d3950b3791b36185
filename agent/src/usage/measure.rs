//! Each minute: what was used until now is read and kept. Then, one partition at a time, how much its files take: each once a day.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::reading::Subject;
use super::sample::{self, Beside};
use super::store::{Store, StoreError};
use super::{Accounting, Part, files};
use crate::causes::in_one_line;
use crate::clock::image_time;
use crate::desired::PartitionName;
use crate::instances::confinement::slice;
use crate::status::{self, Failure};

/// As the original's.
const EVERY: Duration = Duration::from_secs(60);
/// Files are counted once a day, each partition at its own hour.
const FILES_SECONDS: i64 = 86_400;

/// Where files are as large as they were when they were counted, and when that was.
type Sizes = BTreeMap<PartitionName, (u64, i64)>;

impl Accounting<'_> {
    /// Measures for ever.
    pub(super) async fn measure(&self) {
        let mut store = Store::new(self.paths.usage.join("days"));
        let mut sizes: Option<Sizes> = None;
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let now = self.world.seconds();
            if now < image_time(self.places) {
                // Nobody has set the clock: it is no day at all.
                continue;
            }
            let slices = sample::slices(self.places);
            let beside = self.beside(&slices, sizes.as_ref()).await;
            let places = self.places.clone();
            let taking = tokio::task::spawn_blocking(move || {
                let records = sample::sample(&places, now, &slices, &beside);
                let taken = store.take(now, &records);
                (store, slices, taken)
            });
            let slices;
            let taken;
            (store, slices, taken) = match taking.await {
                Ok(done) => done,
                Err(error) => {
                    tracing::error!("a minute of use is lost: {error}");
                    store = Store::new(self.paths.usage.join("days"));
                    continue;
                }
            };
            store = self.close(store, taken, now).await;
            let sizes = sizes.get_or_insert_with(|| known(&store));
            self.count_files(&slices, sizes, now).await;
        }
    }

    /// What systemd and the last counting of files say.
    async fn beside(&self, slices: &[PartitionName], sizes: Option<&Sizes>) -> Beside {
        let mut beside = Beside::default();
        for (partition, (size, _)) in sizes.into_iter().flatten() {
            beside.disk.insert(*partition, *size);
        }
        for partition in slices {
            match self.systemd.traffic(&slice(*partition)).await {
                Ok(Some(traffic)) => {
                    beside.traffic.insert(*partition, traffic);
                }
                Ok(None) => {}
                Err(error) => tracing::debug!("{partition}: {}", in_one_line(&error)),
            }
        }
        beside
    }

    /// Closes the days that are over, and says what is wrong with the store.
    async fn close(&self, store: Store, taken: Result<(), StoreError>, now: i64) -> Store {
        let closed = match taken {
            Ok(()) => self.close_days(&store, now).await,
            Err(error) => Err(error.into()),
        };
        let failures = closed.err().map(|error| {
            let message = format!("{error:#}");
            tracing::error!("what was used cannot be kept: {message}");
            Failure {
                part: status::Part::Usage,
                subject: None,
                message,
            }
        });
        self.note(Part::Days, failures.into_iter().collect());
        store
    }

    /// Counts the files of the partition whose last counting is longest ago, if that is a day or more.
    async fn count_files(&self, slices: &[PartitionName], sizes: &mut Sizes, now: i64) {
        let counted = |partition: &PartitionName| sizes.get(partition).map_or(0, |size| size.1);
        let oldest = slices.iter().copied().min_by_key(counted);
        let Some(partition) = oldest.filter(|oldest| {
            // A time that is ahead is one of a wrong clock.
            (now - counted(oldest)).abs() >= FILES_SECONDS
        }) else {
            return;
        };
        let folder = self.paths.partition(partition);
        let size = files::size(&self.systemd, partition, &folder).await;
        let before = sizes.get(&partition).map_or(0, |size| size.0);
        let size = size.unwrap_or_else(|error| {
            tracing::warn!("{}", in_one_line(&error));
            before
        });
        sizes.insert(partition, (size, now));
    }
}

/// What was known of files before a restart.
fn known(store: &Store) -> Sizes {
    let partitions = store
        .disks()
        .filter_map(|(subject, size, at)| match subject {
            Subject::Partition(partition) => Some((partition, (size, at))),
            Subject::Node => None,
        });
    partitions.collect()
}
