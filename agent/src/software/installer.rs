//! Installs and removes releases in the background, one at a time and beside it one that is built, for which an image need not wait
//! for hours; and remembers what came of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use camino::Utf8PathBuf;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::causes::in_one_line;
use crate::desired::SoftwareUrl;
use crate::observed::Software;
use crate::software::buildout::{self, Workshop};
use crate::software::{Engine, Origin, ReleaseId, Turns, cache};
use crate::workload::Fetcher;

const FIRST_REST: Duration = Duration::from_secs(30);
const LONGEST_REST: Duration = Duration::from_secs(1800);

/// The background work on releases.
#[derive(Clone, Debug)]
pub struct Installer {
    fetcher: Fetcher,
    workshop: Workshop,
    folder: Utf8PathBuf,
    turns: Arc<Turns>,
    works: Arc<Mutex<BTreeMap<SoftwareUrl, Work>>>,
    /// Those who offer what was built.
    offers: Arc<Mutex<BTreeMap<SoftwareUrl, JoinHandle<()>>>>,
    changes: watch::Sender<u64>,
}

#[derive(Clone, Debug)]
enum Work {
    Installing,
    Removing,
    Failed {
        log: String,
        removing: bool,
        attempts: u32,
        again: Instant,
    },
}

impl Installer {
    /// Works in `folder`; moves `changes` after each piece of work.
    pub fn new(
        fetcher: Fetcher,
        workshop: Workshop,
        folder: Utf8PathBuf,
        changes: watch::Sender<u64>,
    ) -> Self {
        cache::forget_unfinished(&folder);
        Self {
            fetcher,
            workshop,
            folder,
            turns: Arc::default(),
            works: Arc::default(),
            offers: Arc::default(),
            changes,
        }
    }

    /// Returns what a release is at this moment.
    pub fn observe(&self, url: &SoftwareUrl) -> Software {
        match self.lock().get(url) {
            Some(Work::Installing) => Software::Installing,
            Some(Work::Removing) => Software::Removing,
            _ if super::is_installed(&self.folder, url) => Software::Available,
            Some(Work::Failed {
                log,
                removing,
                again,
                ..
            }) => Software::Failed {
                log: log.clone(),
                removing: *removing,
                resting: Instant::now() < *again,
            },
            None => Software::Absent,
        }
    }

    /// Returns when the next failed release shall be tried again.
    pub fn next_try(&self) -> Option<Duration> {
        let works = self.lock();
        let resting = works.values().filter_map(|work| match work {
            Work::Failed { again, .. } => Some(again.saturating_duration_since(Instant::now())),
            Work::Installing | Work::Removing => None,
        });
        resting.min()
    }

    /// Begins to install a release, unless work on it is going on.
    pub fn install(&self, url: &SoftwareUrl) {
        self.begin(url, Work::Installing);
    }

    /// Begins to remove a release, unless work on it is going on.
    pub fn remove(&self, url: &SoftwareUrl) {
        self.begin(url, Work::Removing);
    }

    /// Ends the build of a release that nobody wants any more, which may go on for ever: it then has failed, and what it left is removed.
    pub fn give_up(&self, url: &SoftwareUrl) {
        let is_build = Engine::of(url) == Some(Engine::Buildout);
        if !is_build || self.observe(url) != Software::Installing {
            return;
        }
        let systemd = self.workshop.systemd.clone();
        let unit = buildout::unit(url);
        tokio::spawn(async move {
            if let Err(error) = systemd.stop(&unit).await {
                tracing::warn!("{}", in_one_line(&error));
            }
        });
    }

    /// Forgets failures of releases that nobody wants any more.
    pub fn retain(&self, wanted: impl Fn(&SoftwareUrl) -> bool) {
        self.lock()
            .retain(|url, work| wanted(url) || !matches!(work, Work::Failed { .. }));
        self.workshop.cache.notes.retain(wanted);
    }

    /// Returns what went otherwise than hoped with the cache.
    pub fn notes(&self) -> Vec<(SoftwareUrl, String)> {
        self.workshop.cache.notes.all()
    }

    fn begin(&self, url: &SoftwareUrl, work: Work) {
        let attempts = {
            let mut works = self.lock();
            let attempts = match works.get(url) {
                Some(Work::Installing | Work::Removing) => return,
                Some(Work::Failed { attempts, .. }) => *attempts,
                None => 0,
            };
            works.insert(url.clone(), work.clone());
            tracing::info!(%url, "{work:?}");
            attempts
        };
        let (installer, url) = (self.clone(), url.clone());
        tokio::spawn(async move { installer.run(url, work, attempts).await });
    }

    async fn run(self, url: SoftwareUrl, work: Work, attempts: u32) {
        let removing = matches!(work, Work::Removing);
        let result = if removing {
            let _turn = self.turns.images.acquire().await;
            super::remove(&self.folder, &ReleaseId::of(&url))
                .await
                .map(|()| None)
        } else {
            let (turns, workshop) = (&self.turns, &self.workshop);
            let installed = super::install(&self.fetcher, workshop, turns, &self.folder, &url);
            installed.await.map(Some)
        };
        if matches!(result, Ok(Some(Origin::Built))) && self.workshop.cache.offers.any() {
            self.offer(&url);
        }
        let mut works = self.lock();
        match result {
            Ok(_) => {
                works.remove(&url);
            }
            Err(error) => {
                let log = in_one_line(&error);
                tracing::warn!(%url, "{log}");
                let rest = FIRST_REST.saturating_mul(1 << attempts.min(10));
                works.insert(
                    url,
                    Work::Failed {
                        log,
                        removing,
                        attempts: attempts + 1,
                        again: Instant::now() + rest.min(LONGEST_REST),
                    },
                );
            }
        }
        drop(works);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Begins to offer what was built, which everybody on this box has already.
    fn offer(&self, url: &SoftwareUrl) {
        let (installer, offered) = (self.clone(), url.clone());
        let offering = tokio::spawn(async move {
            let (turn, changes) = (&installer.turns.offers, &installer.changes);
            cache::offer(
                &installer.workshop,
                &installer.folder,
                &offered,
                turn,
                changes,
            )
            .await;
        });
        let mut offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
        offers.retain(|_, offering| !offering.is_finished());
        // What was built before is of no interest any more.
        if let Some(before) = offers.insert(url.clone(), offering) {
            before.abort();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<SoftwareUrl, Work>> {
        self.works
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }
}
