//! For how long nobody has wanted a release: counted in steps from one word of the master to the next, so that neither a clock that
//! leaps nor a master that is away makes it long. Kept beside the releases.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::ReleaseId;
use crate::disk;

/// The file, beside the releases; there is none if all of them are wanted.
const FILE: &str = ".idle.json";
const VERSION: u32 = 1;
/// What passed between two words of the master counts as this at most: more may be a clock that was set.
const LONGEST_STEP: u64 = 24 * 3600;
/// As much as a restart may forget.
const WRITTEN_EVERY: u64 = 3600;

/// How long each release that nobody wants has been so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    version: u32,
    /// When the master was heard last, in seconds since 1970.
    heard: u64,
    seconds: BTreeMap<ReleaseId, u64>,
    /// When this was written last.
    #[serde(skip)]
    written: u64,
}

impl Idle {
    /// Nothing is idle yet.
    pub fn new() -> Self {
        Self {
            version: VERSION,
            heard: 0,
            seconds: BTreeMap::new(),
            written: 0,
        }
    }

    /// Reads what was kept. What cannot be read is as good as nothing: everything is kept for longer.
    pub fn load(software: &Utf8Path) -> Self {
        let text = disk::read(&software.join(FILE)).ok().flatten();
        let kept = text.and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        let kept = kept.filter(|kept| kept.version == VERSION);
        kept.unwrap_or_default()
    }

    /// Takes down that at `now`, in seconds since 1970, the master was heard, and that nobody wants these. Says whether it is to be kept.
    pub fn hear(&mut self, unwanted: &BTreeSet<ReleaseId>, now: u64) -> bool {
        let passed = now.saturating_sub(self.heard).min(LONGEST_STEP);
        let longer = |id: &ReleaseId| match self.seconds.get(id) {
            Some(seconds) => seconds.saturating_add(passed),
            None => 0,
        };
        let seconds: BTreeMap<_, _> = unwanted.iter().map(|id| (id.clone(), longer(id))).collect();
        let is_other = !seconds.keys().eq(self.seconds.keys());
        let is_old = !seconds.is_empty() && now.abs_diff(self.written) >= WRITTEN_EVERY;
        self.seconds = seconds;
        self.heard = now;
        if is_other || is_old {
            self.written = now;
        }
        is_other || is_old
    }

    /// Returns for how long nobody has wanted a release.
    pub fn of(&self, id: &ReleaseId) -> Duration {
        Duration::from_secs(self.seconds.get(id).copied().unwrap_or_default())
    }

    /// Keeps it.
    pub fn store(&self, software: &Utf8Path) -> Result<(), disk::Error> {
        let path = software.join(FILE);
        if self.seconds.is_empty() {
            return disk::remove(&path);
        }
        let text = serde_json::to_vec(self).expect("numbers by names become JSON");
        disk::replace(&path, &text)
    }
}

impl Default for Idle {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::SoftwareUrl;

    const DAY: u64 = 86_400;

    fn id(url: &str) -> ReleaseId {
        ReleaseId::of(&SoftwareUrl::new(url))
    }

    #[test]
    fn time_counts_from_one_word_of_the_master_to_the_next() {
        let (a, b) = (id("https://x/a"), id("https://x/b"));
        let both = BTreeSet::from([a.clone(), b.clone()]);
        let only_b = BTreeSet::from([b.clone()]);
        let mut idle = Idle::new();
        let mut seconds = |unwanted, now| {
            idle.hear(unwanted, now);
            (idle.of(&a).as_secs(), idle.of(&b).as_secs())
        };
        // Whatever the time is when it is first seen.
        assert_eq!(seconds(&both, 50 * 365 * DAY), (0, 0));
        assert_eq!(seconds(&both, 50 * 365 * DAY + 60), (60, 60));
        // A clock that is set forth or back, a master that was away for a month: a day at most.
        assert_eq!(seconds(&both, 80 * 365 * DAY), (60 + DAY, 60 + DAY));
        assert_eq!(seconds(&both, 0), (60 + DAY, 60 + DAY));
        assert_eq!(seconds(&both, 60), (120 + DAY, 120 + DAY));
        // One that is wanted again begins anew.
        assert_eq!(seconds(&only_b, 120), (0, 180 + DAY));
        assert_eq!(seconds(&both, 180), (0, 240 + DAY));
    }

    #[test]
    fn what_is_kept_outlives_a_restart_and_is_written_once_an_hour() {
        let keep = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(keep.path()).unwrap();
        let file = folder.join(FILE);
        let a = id("https://x/a");
        let unwanted = BTreeSet::from([a.clone()]);
        let mut idle = Idle::load(folder);
        assert!(!idle.hear(&BTreeSet::new(), 1_000_000));
        assert!(idle.hear(&unwanted, 1_000_060));
        assert!(!idle.hear(&unwanted, 1_000_120));
        assert!(idle.hear(&unwanted, 1_000_060 + WRITTEN_EVERY));
        idle.store(folder).unwrap();
        let mut later = Idle::load(folder);
        assert_eq!(later.of(&a).as_secs(), WRITTEN_EVERY);
        assert!(later.hear(&BTreeSet::new(), 1_000_060 + 2 * WRITTEN_EVERY));
        later.store(folder).unwrap();
        assert!(!file.exists());
        for spoilt in ["", "{", "{\"version\":2,\"heard\":0,\"seconds\":{}}"] {
            disk::replace(&file, spoilt.as_bytes()).unwrap();
            assert_eq!(Idle::load(folder), Idle::new(), "{spoilt}");
        }
    }
}
