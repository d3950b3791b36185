//! What was read each minute, kept for two weeks: a file a day, `2026-11-28.csv`, packed when the day is over (`.csv.gz`).
//!
//! The one file of the node that is written at its end, not replaced whole: it grows each minute, and is synced now and then only. A power
//! cut costs the last minutes; a torn line is passed over. A day's file begins with where the counters stood before, so that none of
//! them depends on another. What has not changed is not written again within an hour.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::Day;
use super::reading::{HEAD, Record, Subject};
use crate::causes::in_one_line;
use crate::disk;

/// The store cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error(transparent)]
    Disk(#[from] disk::Error),
    #[error("failed to use `{path}`")]
    Use {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The days of a node.
#[derive(Debug)]
pub(super) struct Store {
    folder: Utf8PathBuf,
    open: Option<Open>,
    /// The last line of each, and when it was last looked at.
    written: BTreeMap<Subject, Record>,
    seen: BTreeMap<Subject, Record>,
}

/// The file of a day.
#[derive(Debug)]
struct Open {
    day: Day,
    path: Utf8PathBuf,
    file: File,
    size: u64,
    /// Whether its last line may be torn.
    torn: bool,
    synced: i64,
}

/// As long as the original keeps them.
const DAYS: i64 = 15;
const MOST_BYTES: u64 = 256 * 1024 * 1024;
/// From then on a day has a line an hour of each.
const LARGE_DAY: u64 = 48 * 1024 * 1024;
const SYNC_SECONDS: i64 = 900;
const AGAIN_SECONDS: i64 = 3600;
const LONGEST_LINE: u64 = 1024;

impl Store {
    pub(super) fn new(folder: Utf8PathBuf) -> Self {
        Self {
            folder,
            open: None,
            written: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    /// Keeps what was read at a moment.
    pub(super) fn take(&mut self, now: i64, records: &[Record]) -> Result<(), StoreError> {
        let day = Day::of(now);
        if self.open.as_ref().is_none_or(|open| open.day != day) {
            self.begin(day)?;
        }
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        let lines = self.news(&open, records);
        let kept = open.append(&lines).and_then(|()| open.sync_if_due(now));
        let path = open.path.clone();
        self.open = Some(open);
        kept.map_err(|source| StoreError::Use { path, source })?;
        self.written
            .extend(lines.iter().map(|record| (record.subject, *record)));
        self.seen = records
            .iter()
            .map(|record| (record.subject, *record))
            .collect();
        Ok(())
    }

    /// The lines that say something new, and the last ones of what is gone.
    fn news(&self, open: &Open, records: &[Record]) -> Vec<Record> {
        let present: BTreeSet<_> = records.iter().map(|record| record.subject).collect();
        let gone = self
            .seen
            .values()
            .filter(|record| !present.contains(&record.subject));
        let gone = gone.filter(|record| self.written.get(&record.subject) != Some(record));
        let is_large = open.size > LARGE_DAY;
        let is_news = |record: &&Record| {
            self.written.get(&record.subject).is_none_or(|before| {
                let same = is_large || record.says_the_same(before);
                !same || (record.time - before.time).abs() >= AGAIN_SECONDS
            })
        };
        gone.chain(records.iter().filter(is_news))
            .copied()
            .collect()
    }

    /// Returns what each disk took when it was last measured, and when that was written down.
    pub(super) fn disks(&self) -> impl Iterator<Item = (Subject, u64, i64)> {
        let written = self.written.values();
        written.filter_map(|record| Some((record.subject, record.reading.disk?, record.time)))
    }

    /// Opens the file of a day, new or of before a restart.
    pub(super) fn begin(&mut self, day: Day) -> Result<(), StoreError> {
        if let Some(open) = self.open.take()
            && let Err(error) = open.file.sync_data()
        {
            tracing::warn!("`{}` cannot be synced: {error}", open.path);
        }
        disk::private_folder(&self.folder)?;
        let path = self.path(day);
        if !self.goes_on(day)? {
            if self.written.is_empty()
                && let Some(last) = self.days()?.into_iter().rfind(|last| *last < day)
            {
                self.recall(last)?;
            }
            let mut text = format!("{HEAD}\n");
            for record in self.written.values() {
                let _ = writeln!(text, "{record}");
            }
            disk::replace_private(&path, text.as_bytes())?;
        }
        let open = Open::at(day, &path);
        self.open = Some(open.map_err(|source| StoreError::Use { path, source })?);
        Ok(())
    }

    /// Takes up a day of before a restart, if there is a file of it. One that cannot be read is put aside: the day goes on in another.
    fn goes_on(&mut self, day: Day) -> Result<bool, StoreError> {
        let path = self.path(day);
        if !path.exists() {
            return Ok(false);
        }
        match self.recall(day) {
            Ok(()) => Ok(true),
            Err(error) => {
                let aside = disk::set_aside(&path)?;
                tracing::error!("{}; it is kept as `{aside}`", in_one_line(&error));
                Ok(false)
            }
        }
    }

    fn recall(&mut self, day: Day) -> Result<(), StoreError> {
        let mut written = BTreeMap::new();
        self.read(day, |record| {
            written.insert(record.subject, record);
        })?;
        self.written = written;
        Ok(())
    }

    /// Returns the days that are not packed yet.
    pub(super) fn days(&self) -> Result<BTreeSet<Day>, StoreError> {
        let files = self.files()?;
        let days = files.iter().filter(|file| !file.packed);
        Ok(days.map(|file| file.day).collect())
    }

    /// Reads the lines of a day that is not packed; what is none is passed over.
    pub(super) fn read(&self, day: Day, mut take: impl FnMut(Record)) -> Result<(), StoreError> {
        let path = self.path(day);
        let mut read = || -> io::Result<()> {
            let mut reader = BufReader::new(File::open(&path)?);
            let mut line = Vec::new();
            loop {
                line.clear();
                let mut next = reader.by_ref().take(LONGEST_LINE);
                if next.read_until(b'\n', &mut line)? == 0 {
                    return Ok(());
                }
                let text = line.strip_suffix(b"\n").unwrap_or_default();
                if let Some(Ok(record)) = str::from_utf8(text).ok().map(str::parse) {
                    take(record);
                }
            }
        };
        read().map_err(|source| StoreError::Use { path, source })
    }

    /// Packs a day that is over.
    pub(super) fn pack(&self, day: Day) -> Result<(), StoreError> {
        let path = self.path(day);
        let packed = self.folder.join(format!("{day}.csv.gz"));
        disk::replace_private_by(&packed, |file| {
            let mut packer = GzEncoder::new(file, Compression::fast());
            io::copy(&mut File::open(&path)?, &mut packer)?;
            packer.finish().map(drop)
        })?;
        Ok(disk::remove(&path)?)
    }

    /// Removes days that are long over, those that only a wrong clock had, and the oldest of more than the store may hold.
    pub(super) fn prune(&self, today: Day) -> Result<(), StoreError> {
        let mut files = self.files()?;
        files.sort_by_key(|file| file.day);
        let mut size: u64 = files.iter().map(|file| file.size).sum();
        for file in &files {
            let is_old = file.day.is_before_by(DAYS, today);
            let is_ahead = today.is_before_by(2, file.day);
            if (is_old || is_ahead || size > MOST_BYTES) && file.day != today {
                disk::remove(&file.path)?;
                size = size.saturating_sub(file.size);
            }
        }
        Ok(())
    }

    fn files(&self) -> Result<Vec<Found>, StoreError> {
        let failed = |source| StoreError::Use {
            path: self.folder.clone(),
            source,
        };
        let listed = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(failed)?,
        };
        let mut found = Vec::new();
        for entry in listed {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let Some((day, kind)) = name.to_str().and_then(|name| name.split_once('.')) else {
                continue;
            };
            if let (Ok(day), "csv" | "csv.gz") = (day.parse(), kind) {
                found.push(Found {
                    day,
                    packed: kind == "csv.gz",
                    path: self.folder.join(format!("{day}.{kind}")),
                    size: entry.metadata().map_or(0, |file| file.len()),
                });
            }
        }
        Ok(found)
    }

    fn path(&self, day: Day) -> Utf8PathBuf {
        self.folder.join(format!("{day}.csv"))
    }
}

/// A file of the store.
struct Found {
    day: Day,
    packed: bool,
    path: Utf8PathBuf,
    size: u64,
}

impl Open {
    fn at(day: Day, path: &Utf8Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        let size = file.metadata()?.len();
        let mut last = [b'\n'];
        if size > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok(Self {
            day,
            path: path.to_owned(),
            file,
            size,
            torn: last != [b'\n'],
            synced: 0,
        })
    }

    fn append(&mut self, lines: &[Record]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        if self.torn {
            text.push('\n');
        }
        for record in lines {
            let _ = writeln!(text, "{record}");
        }
        self.torn = true;
        self.file.write_all(text.as_bytes())?;
        self.torn = false;
        self.size += text.len() as u64;
        Ok(())
    }

    fn sync_if_due(&mut self, now: i64) -> io::Result<()> {
        if (now - self.synced).abs() < SYNC_SECONDS {
            return Ok(());
        }
        self.file.sync_data()?;
        self.synced = now;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
