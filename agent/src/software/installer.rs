//! Installs and removes releases in the background, one at a time and beside it one that is built, for which an image need not wait
//! for hours; and remembers what came of it. What releases share is removed after them, when nothing is built.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
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
use crate::software::shared::{self, Part, Users};
use crate::software::{Engine, Origin, ReleaseId, SoftwareError, Turns, cache, remains};
use crate::systemd::SystemdError;
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
    works: Arc<Mutex<BTreeMap<ReleaseId, Work>>>,
    /// Those who offer what was built.
    offers: Arc<Mutex<BTreeMap<SoftwareUrl, JoinHandle<()>>>>,
    /// Whether there may be shared parts that nobody has any more; at the start nobody knows.
    unpruned: Arc<AtomicBool>,
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

/// What to do with a release.
#[derive(Clone, Debug)]
enum Task {
    Install(SoftwareUrl),
    BuildAgain(SoftwareUrl),
    Remove,
}

/// Shared parts could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    #[error("a release is being built or fetched: ask again when it is done")]
    Building,
    #[error("failed to see whether a release is being built")]
    Look(#[source] SystemdError),
    #[error(transparent)]
    Parts(SoftwareError),
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
        let installer = Self {
            fetcher,
            workshop,
            folder,
            turns: Arc::default(),
            works: Arc::default(),
            offers: Arc::default(),
            unpruned: Arc::new(AtomicBool::new(true)),
            changes,
        };
        installer.clear_remains();
        installer
    }

    /// Removes what an agent that was killed has left half done; it is out of the way at once.
    fn clear_remains(&self) {
        let complain = |error: &SoftwareError| {
            let why = in_one_line(error);
            tracing::warn!("what was half done is left: {why}");
        };
        let aside = match remains::put_aside(&self.folder) {
            Ok(None) => return,
            Ok(Some(aside)) => aside,
            Err(error) => return complain(&error),
        };
        let (software, turns) = (self.folder.clone(), Arc::clone(&self.turns));
        tokio::spawn(async move {
            let _turn = turns.images.acquire().await;
            let removed = super::blocking(move || remains::remove(&software, &aside)).await;
            if let Err(error) = removed {
                complain(&error);
            }
        });
    }

    /// Returns what a release is at this moment.
    pub fn observe(&self, url: &SoftwareUrl) -> Software {
        self.observe_id(&ReleaseId::of(url))
    }

    /// Returns what a release is at this moment.
    pub fn observe_id(&self, id: &ReleaseId) -> Software {
        match self.lock().get(id) {
            Some(Work::Installing) => Software::Installing,
            Some(Work::Removing) => Software::Removing,
            _ if super::is_complete(&self.folder, id) => Software::Available,
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

    /// Returns the builder of this box, if it has one.
    pub fn builder(&self) -> Option<ReleaseId> {
        self.workshop.builder.as_ref().map(ReleaseId::of)
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
        self.begin(ReleaseId::of(url), Task::Install(url.clone()));
    }

    /// Begins to build a release again, unless work on it is going on: the newest of everything that it is made of. It is not
    /// installed until that has succeeded.
    pub fn build_again(&self, url: &SoftwareUrl) {
        self.begin(ReleaseId::of(url), Task::BuildAgain(url.clone()));
        self.changes.send_modify(|count| *count += 1);
    }

    /// Begins to remove a release, unless work on it is going on.
    pub fn remove(&self, id: &ReleaseId) {
        self.begin(id.clone(), Task::Remove);
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

    /// Forgets failures about releases that nobody wants any more, and that are not there.
    pub fn retain(&self, wanted: impl Fn(&ReleaseId) -> bool) {
        self.lock().retain(|id, work| match work {
            Work::Installing | Work::Removing => true,
            Work::Failed { removing, .. } => {
                wanted(id) || (*removing && self.folder.join(id.as_str()).exists())
            }
        });
        let notes = &self.workshop.cache.notes;
        notes.retain(|url| wanted(&ReleaseId::of(url)));
    }

    /// Returns what went otherwise than hoped with the cache.
    pub fn notes(&self) -> Vec<(SoftwareUrl, String)> {
        self.workshop.cache.notes.all()
    }

    /// Removes the shared parts that no release has, nor one in `more` folders of releases, or only says which they are.
    pub async fn prune(
        &self,
        dry_run: bool,
        more: Vec<Utf8PathBuf>,
    ) -> Result<BTreeSet<Part>, PruneError> {
        let (software, instances) = (self.folder.clone(), self.workshop.instances.clone());
        let with_users = move |work: fn(Users<'_>) -> Result<BTreeSet<Part>, SoftwareError>| {
            work(Users {
                software: &software,
                instances: &instances,
                more: &more,
            })
        };
        if dry_run {
            let unused = super::blocking(move || with_users(shared::unused)).await;
            return unused.map_err(PruneError::Parts);
        }
        // What is fetched may have parts that nothing names until all of it is there.
        let turns = [&self.turns.builds, &self.turns.images].map(|turn| turn.try_acquire());
        if turns.iter().any(Result::is_err) {
            return Err(PruneError::Building);
        }
        let at_work = buildout::is_at_work(&self.workshop.systemd).await;
        if at_work.map_err(PruneError::Look)? {
            return Err(PruneError::Building);
        }
        let pruned = super::blocking(move || with_users(shared::prune)).await;
        pruned.map_err(PruneError::Parts)
    }

    fn begin(&self, id: ReleaseId, task: Task) {
        let attempts = {
            let mut works = self.lock();
            let attempts = match works.get(&id) {
                Some(Work::Installing | Work::Removing) => return,
                Some(Work::Failed { attempts, .. }) => *attempts,
                None => 0,
            };
            works.insert(id.clone(), task.work());
            tracing::info!(%id, "{task:?}");
            attempts
        };
        let installer = self.clone();
        tokio::spawn(async move { installer.run(id, task, attempts).await });
    }

    async fn run(self, id: ReleaseId, task: Task, attempts: u32) {
        let result = self.carry_out(&id, &task).await;
        if let (Ok(Some(Origin::Built)), Task::Install(url) | Task::BuildAgain(url)) =
            (&result, &task)
            && self.workshop.cache.offers.any()
        {
            cache::intend(&self.folder, url);
            self.offer(url);
        }
        {
            let mut works = self.lock();
            match result {
                Ok(_) => {
                    works.remove(&id);
                }
                Err(error) => {
                    let log = in_one_line(&error);
                    tracing::warn!(%id, "{log}");
                    let rest = FIRST_REST.saturating_mul(1 << attempts.min(10));
                    works.insert(
                        id,
                        Work::Failed {
                            log,
                            removing: matches!(task, Task::Remove),
                            attempts: attempts + 1,
                            again: Instant::now() + rest.min(LONGEST_REST),
                        },
                    );
                }
            }
        }
        self.changes.send_modify(|count| *count += 1);
        if matches!(task, Task::Remove) {
            self.unpruned.store(true, Ordering::Relaxed);
        }
        self.prune_if_due().await;
    }

    /// Does it; says how a release came that it has installed.
    async fn carry_out(
        &self,
        id: &ReleaseId,
        task: &Task,
    ) -> Result<Option<Origin>, SoftwareError> {
        let (fetcher, workshop, turns) = (&self.fetcher, &self.workshop, &self.turns);
        match task {
            Task::Install(url) => {
                let installed = super::install(fetcher, workshop, turns, &self.folder, url);
                installed.await.map(Some)
            }
            Task::BuildAgain(url) => {
                let built = super::build_again(fetcher, workshop, turns, &self.folder, url);
                built.await.map(|()| Some(Origin::Built))
            }
            Task::Remove => {
                let _turn = self.turns.images.acquire().await;
                super::remove(&self.folder, id).await.map(|()| None)
            }
        }
    }

    /// Removes what was left by what was removed. While something is built it is the end of that which does.
    async fn prune_if_due(&self) {
        if !self.unpruned.swap(false, Ordering::Relaxed) {
            return;
        }
        match self.prune(false, Vec::new()).await {
            Ok(parts) => {
                for part in parts {
                    tracing::info!("removed the shared part {part}, which no release has");
                }
            }
            Err(error) => {
                self.unpruned.store(true, Ordering::Relaxed);
                match error {
                    PruneError::Building => {}
                    PruneError::Look(_) | PruneError::Parts(_) => {
                        let why = in_one_line(&error);
                        tracing::warn!("shared parts that no release has are left: {why}");
                    }
                }
            }
        }
    }

    /// Goes on offering what was built, if an agent before this one has not come to the end of it.
    pub fn offer_again(&self, url: &SoftwareUrl) {
        let is_offered = || {
            let offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
            offers
                .get(url)
                .is_some_and(|offering| !offering.is_finished())
        };
        let wants = self.workshop.cache.offers.any();
        if wants && cache::is_intended(&self.folder, url) && !is_offered() {
            self.offer(url);
        }
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

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ReleaseId, Work>> {
        self.works
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }
}

impl Task {
    /// What goes on while it is carried out.
    fn work(&self) -> Work {
        match self {
            Self::Install(_) | Self::BuildAgain(_) => Work::Installing,
            Self::Remove => Work::Removing,
        }
    }
}
