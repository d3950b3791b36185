//! The releases that are there and that the master does not speak of: whether something of the node needs them, and for how long
//! nobody has wanted them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use super::Paths;
use crate::desired::{Desired, PartitionName, SoftwareUrl};
use crate::inside::Inside;
use crate::instances::confinement::PARAMETERS;
use crate::observed::{Collection, Leftover, Software};
use crate::partitions::directories::RESOURCE;
use crate::software::idle::Idle;
use crate::software::{self, ReleaseId, installer::Installer};

/// It cannot be told which releases nobody needs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeftoversError {
    #[error("failed to look into `{path}`")]
    Look {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to keep for how long nobody has wanted them")]
    Keep(#[source] crate::disk::Error),
}

/// Whether what the master wants was heard in this pass, or is what it wanted when it was last heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Now,
    Before,
}

/// What is remembered of releases that nobody wants.
#[derive(Clone, Debug)]
pub(super) struct Leftovers {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    idle: Idle,
    /// Whether somebody wants them to go at once.
    is_asked: bool,
    /// What went since then.
    gone: Vec<ReleaseId>,
}

/// More than the document of an instance has.
const LONGEST_DOCUMENT: u64 = 4 * 1024 * 1024;

/// What is read of the document of an instance.
#[derive(Deserialize)]
struct Document {
    software_release_url: SoftwareUrl,
}

impl Leftovers {
    pub(super) fn load(paths: &Paths) -> Self {
        let inner = Inner {
            idle: Idle::load(&paths.software),
            is_asked: false,
            gone: Vec::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    /// Has everything that nobody needs go at the next pass that hears the master, however long nobody has wanted it.
    pub(super) fn ask(&self) {
        let mut inner = self.lock();
        inner.is_asked = true;
        inner.gone.clear();
    }

    /// Takes that back, and returns what went.
    pub(super) fn answer(&self) -> Vec<ReleaseId> {
        let mut inner = self.lock();
        inner.is_asked = false;
        std::mem::take(&mut inner.gone)
    }

    /// Notes that a release goes.
    pub(super) fn goes(&self, id: &ReleaseId) {
        self.lock().gone.push(id.clone());
    }

    /// Looks what is there, and which of it may go in this pass; at `now`, in seconds since 1970.
    pub(super) fn observe(
        &self,
        paths: &Paths,
        installer: &Installer,
        desired: &Desired,
        heard: Heard,
        now: u64,
    ) -> Result<(BTreeMap<ReleaseId, Leftover>, Collection), LeftoversError> {
        // Nothing is known of what the master wants that was not heard now; nothing is looked for in vain.
        if heard == Heard::Before {
            return Ok((BTreeMap::new(), Collection::Nothing));
        }
        let named = desired.releases();
        let mut found = look(paths, &named, installer.builder())?;
        let mut inner = self.lock();
        let unwanted = found.iter().filter(|(_, leftover)| !leftover.used);
        let unwanted = unwanted.map(|(id, _)| id.clone()).collect();
        if inner.idle.hear(&unwanted, now) {
            let stored = inner.idle.store(&paths.software);
            stored.map_err(LeftoversError::Keep)?;
        }
        for (id, leftover) in &mut found {
            leftover.idle = inner.idle.of(id);
            leftover.found = installer.observe_id(id);
        }
        let collection = if std::mem::take(&mut inner.is_asked) {
            Collection::All
        } else {
            Collection::Idle
        };
        Ok((found, collection))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }
}

/// Looks as [`Leftovers::observe`] does, from outside of the agent that works.
pub(crate) fn from_outside(
    paths: &Paths,
    desired: &Desired,
) -> Result<BTreeMap<ReleaseId, Leftover>, LeftoversError> {
    let mut found = look(paths, &desired.releases(), None)?;
    let idle = Idle::load(&paths.software);
    for (id, leftover) in &mut found {
        leftover.idle = idle.of(id);
    }
    Ok(found)
}

/// The releases that are not named, and whether something on this node needs them all the same.
fn look(
    paths: &Paths,
    named: &BTreeSet<ReleaseId>,
    builder: Option<ReleaseId>,
) -> Result<BTreeMap<ReleaseId, Leftover>, LeftoversError> {
    let installed = installed(&paths.software)?;
    let unnamed: Vec<_> = installed.iter().filter(|id| !named.contains(*id)).collect();
    if unnamed.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut used = of_partitions(paths)?;
    used.extend(builder);
    // Of those that stay: a builder that only others need that go may go as well, later.
    let builders = installed
        .iter()
        .filter(|id| named.contains(*id) || used.contains(*id));
    let builders: Vec<_> = builders
        .filter_map(|id| {
            let folder = paths.software.join(id.as_str());
            software::buildout::noted_builder(&folder).ok()
        })
        .map(|builder| ReleaseId::of(&builder))
        .collect();
    used.extend(builders);
    let leftover = |id: &ReleaseId| Leftover {
        used: used.contains(id),
        found: Software::Available,
        idle: std::time::Duration::ZERO,
    };
    Ok(unnamed
        .into_iter()
        .map(|id| (id.clone(), leftover(id)))
        .collect())
}

/// The releases that are there, complete or not.
fn installed(software: &Utf8Path) -> Result<BTreeSet<ReleaseId>, LeftoversError> {
    let failed = |source| LeftoversError::Look {
        path: software.to_owned(),
        source,
    };
    let entries = match software.read_dir_utf8() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries.map_err(failed)?,
    };
    let mut found = BTreeSet::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        found.extend(ReleaseId::try_from(entry.file_name().to_owned()));
    }
    Ok(found)
}

/// The releases of what is in partitions, those included that the master does not speak of.
fn of_partitions(paths: &Paths) -> Result<BTreeSet<ReleaseId>, LeftoversError> {
    let failed = |path: &Utf8Path, source| LeftoversError::Look {
        path: path.to_owned(),
        source,
    };
    let mut used = BTreeSet::new();
    let entries = paths.instances.read_dir_utf8();
    for entry in entries.map_err(|source| failed(&paths.instances, source))? {
        let entry = entry.map_err(|source| failed(&paths.instances, source))?;
        if entry.file_name().parse::<PartitionName>().is_err() {
            continue;
        }
        let look = || -> io::Result<Option<Document>> {
            let inside = Inside::open(entry.path())?;
            if inside.holds_only(RESOURCE)? {
                return Ok(None);
            }
            let text = inside
                .read(PARAMETERS, LONGEST_DOCUMENT)?
                .unwrap_or_default();
            // Of one that was spoilt by the partition nothing is known: its own loss.
            Ok(serde_json::from_slice(&text).ok())
        };
        let document = look().map_err(|source| failed(entry.path(), source))?;
        used.extend(document.map(|it| ReleaseId::of(&it.software_release_url)));
    }
    Ok(used)
}

#[cfg(test)]
mod tests;
