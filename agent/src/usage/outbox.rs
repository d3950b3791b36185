//! Documents on their way to the master: on disk before anything is sent, and until the master has them.
//!
//! An entry is one file, made at one moment: the document, the files of partitions that it was made of, and what needs not be told any
//! more. Those files are removed when the master has taken the document and not before; until then nobody reads them again. So a power
//! cut at any moment loses nothing and doubles nothing, but for one case that no sender can rule out: the master took a document, and its
//! answer was lost. The document is then sent again, byte for byte the same: our masters keep it once, and others can.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, OwnedMutexGuard, watch};
use tokio::time::timeout;

use super::Day;
use crate::desired::PartitionName;
use crate::disk;
use crate::inside::{Inside, Mark};
use crate::workload::Paths;

/// The outbox cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    #[error(transparent)]
    Disk(#[from] disk::Error),
    #[error("failed to list `{path}`")]
    List {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("an entry is no entry, it is kept as `{aside}`")]
    Unreadable {
        aside: Utf8PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("failed to write down what was used")]
    Form(#[source] serde_json::Error),
    #[error(
        "{0} bytes of usage wait for the master, which has taken none for long: no more is made until it does"
    )]
    Full(u64),
    #[error("failed to remove the files of {partition} that were told")]
    Remove {
        partition: PartitionName,
        #[source]
        source: io::Error,
    },
}

/// A file of a partition that a document was made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Consumed {
    pub(super) partition: PartitionName,
    pub(super) path: String,
    pub(super) mark: Mark,
}

/// What was told last, or is on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    /// The day on which partitions were last asked for their reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reports: Option<Day>,
    /// The last day whose use was summed up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) consumption: Option<Day>,
}

impl Told {
    /// What is known after one more word.
    fn and(self, newer: Self) -> Self {
        Self {
            reports: newer.reports.or(self.reports),
            consumption: newer.consumption.or(self.consumption),
        }
    }
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    version: u32,
    /// None when the master has taken it.
    pub(super) document: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

/// An entry but for its document, which may be large.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Rest {
    consumes: BTreeSet<Consumed>,
    told: Told,
}

/// What was told, and up to which entry.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Ledger {
    through: u64,
    told: Told,
}

/// The outbox of a node.
#[derive(Clone, Debug)]
pub struct Outbox {
    folder: Utf8PathBuf,
    paths: Paths,
    gate: Arc<Gate>,
}

/// What those who use an outbox at the same time share.
#[derive(Debug, Default)]
struct Gate {
    making: AsyncMutex<()>,
    turns: Mutex<BTreeMap<PartitionName, Arc<AsyncMutex<()>>>>,
    changes: watch::Sender<u64>,
}

const VERSION: u32 = 1;
/// Months of a busy node.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
const LEDGER: &str = "told.json";

impl Entry {
    pub(super) fn new(document: String, consumes: BTreeSet<Consumed>, told: Told) -> Self {
        Self {
            version: VERSION,
            document: Some(document),
            rest: Rest { consumes, told },
        }
    }
}

impl Outbox {
    /// An outbox in a folder, for the partitions of these paths.
    pub fn new(folder: Utf8PathBuf, paths: Paths) -> Self {
        Self {
            folder,
            paths,
            gate: Arc::default(),
        }
    }

    /// Waits until nobody else has this partition say what it used.
    pub(super) async fn turn(&self, partition: PartitionName) -> OwnedMutexGuard<()> {
        let turn = {
            let turns = self.gate.turns.lock();
            let mut turns = turns.unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(partition).or_default())
        };
        turn.lock_owned().await
    }

    /// Waits until nobody else makes an entry: between reading files and making the entry of them nobody may read them.
    pub(super) async fn making(&self) -> MutexGuard<'_, ()> {
        self.gate.making.lock().await
    }

    /// Makes an entry and returns its number. Whoever calls it is the one who makes entries.
    pub(super) fn put(&self, entry: &Entry) -> Result<u64, OutboxError> {
        disk::private_folder(&self.folder)?;
        let numbers = self.numbers()?;
        let waiting = numbers.iter().map(|number| self.size(*number)).sum();
        if waiting > MOST_BYTES {
            return Err(OutboxError::Full(waiting));
        }
        let last = numbers.last().copied().unwrap_or(0);
        let number = last.max(self.ledger()?.through) + 1;
        self.write(number, entry)?;
        self.changed();
        Ok(number)
    }

    /// Returns the numbers of what waits, in the order in which it came.
    pub(super) fn numbers(&self) -> Result<Vec<u64>, OutboxError> {
        let failed = |source| OutboxError::List {
            path: self.folder.clone(),
            source,
        };
        let listed = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(failed)?,
        };
        let mut numbers = Vec::new();
        for file in listed {
            let name = file.map_err(failed)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".json"));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Returns an entry; nothing if it is gone.
    pub(super) fn entry(&self, number: u64) -> Result<Option<Entry>, OutboxError> {
        self.read(number)
    }

    /// Returns the files that documents on their way were made of.
    pub(super) fn on_their_way(&self) -> Result<BTreeSet<Consumed>, OutboxError> {
        let mut all = BTreeSet::new();
        for number in self.numbers()? {
            if let Some(Rest { consumes, .. }) = self.read(number)? {
                all.extend(consumes);
            }
        }
        Ok(all)
    }

    /// Returns what was told last, or is on its way.
    pub(super) fn told(&self) -> Result<Told, OutboxError> {
        let Ledger { through, mut told } = self.ledger()?;
        for number in self.numbers()? {
            if number > through
                && let Some(Rest { told: newer, .. }) = self.read(number)?
            {
                told = told.and(newer);
            }
        }
        Ok(told)
    }

    /// Notes what needs no document.
    pub(super) fn note(&self, newer: Told) -> Result<(), OutboxError> {
        disk::private_folder(&self.folder)?;
        let told = self.told()?.and(newer);
        let last = self.numbers()?.last().copied().unwrap_or(0);
        self.write_ledger(last.max(self.ledger()?.through), told)
    }

    /// Notes that the master has a document. From here on it is never sent again.
    pub(super) fn taken(&self, number: u64, entry: Entry) -> Result<Entry, OutboxError> {
        let entry = Entry {
            document: None,
            ..entry
        };
        self.write(number, &entry)?;
        Ok(entry)
    }

    /// Removes the files that a taken document was made of, unless they are others meanwhile, and then the entry.
    pub(super) fn settle(&self, number: u64, entry: &Entry) -> Result<(), OutboxError> {
        let mut by_partition: BTreeMap<PartitionName, Vec<&Consumed>> = BTreeMap::new();
        for file in &entry.rest.consumes {
            by_partition.entry(file.partition).or_default().push(file);
        }
        for (partition, files) in by_partition {
            self.remove(partition, &files)
                .map_err(|source| OutboxError::Remove { partition, source })?;
        }
        let through = number.max(self.ledger()?.through);
        self.write_ledger(through, self.told()?)?;
        disk::remove(&self.path(number))?;
        self.changed();
        Ok(())
    }

    /// Waits until the master has a document, at most so long.
    pub(super) async fn wait_for(&self, number: u64, within: Duration) -> bool {
        let mut changes = self.gate.changes.subscribe();
        let gone = async {
            while self.path(number).exists() {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        timeout(within, gone).await.is_ok()
    }

    /// Moves when an entry comes or goes.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.gate.changes.subscribe()
    }

    fn remove(&self, partition: PartitionName, files: &[&Consumed]) -> io::Result<()> {
        let Some(inside) = Inside::open_if_there(&self.paths.partition(partition))? else {
            return Ok(());
        };
        for Consumed { path, mark, .. } in files {
            // What cannot be looked at is not what was read.
            if matches!(inside.mark(path), Ok(Some(now)) if now == *mark) {
                inside.remove(path)?;
            }
        }
        // Or a power cut brings them back when the entry is gone.
        inside.sync()
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, number: u64) -> Result<Option<T>, OutboxError> {
        self.read_file(&self.path(number))
    }

    fn read_file<T: for<'de> Deserialize<'de>>(
        &self,
        path: &Utf8PathBuf,
    ) -> Result<Option<T>, OutboxError> {
        let Some(json) = disk::read(path)? else {
            return Ok(None);
        };
        match serde_json::from_slice(&json) {
            Ok(read) => Ok(Some(read)),
            Err(source) => {
                let aside = disk::set_aside(path)?;
                Err(OutboxError::Unreadable { aside, source })
            }
        }
    }

    fn write(&self, number: u64, entry: &Entry) -> Result<(), OutboxError> {
        let json = serde_json::to_vec(entry).map_err(OutboxError::Form)?;
        Ok(disk::replace_private(&self.path(number), &json)?)
    }

    fn ledger(&self) -> Result<Ledger, OutboxError> {
        let ledger = self.read_file(&self.folder.join(LEDGER))?;
        Ok(ledger.unwrap_or_default())
    }

    fn write_ledger(&self, through: u64, told: Told) -> Result<(), OutboxError> {
        let ledger = Ledger { through, told };
        let json = serde_json::to_vec(&ledger).map_err(OutboxError::Form)?;
        Ok(disk::replace_private(&self.folder.join(LEDGER), &json)?)
    }

    fn size(&self, number: u64) -> u64 {
        fs::metadata(self.path(number)).map_or(0, |file| file.len())
    }

    fn path(&self, number: u64) -> Utf8PathBuf {
        self.folder.join(format!("{number}.json"))
    }

    fn changed(&self) {
        self.gate.changes.send_modify(|count| *count += 1);
    }
}

#[cfg(test)]
mod tests;
