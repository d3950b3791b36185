//! The binary cache: releases that take hours are built once. What another node built is taken if somebody whom this box believes has
//! signed it, it is for this system, and it is what its digest says. What this box builds is offered to others, if its document says so.
//!
//! Nothing here stands in the way of a build: what cannot be taken is built, and said.

mod entry;
mod offer;
mod pack;
mod system;
mod take;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use slap::v1::CacheEntry;

use super::{PublicKey, ReleaseId, SoftwareError, directory, shared};
use crate::desired::SoftwareUrl;

pub use offer::OfferError;
pub(super) use offer::{forget_unfinished, intend, is_intended, offer};
pub use pack::{Pack, PackError};
pub(super) use take::take;

/// What a box has of the cache.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    /// The folder of a static server; the master's, where none is named.
    pub url: Option<String>,
    /// Whose builds are taken, besides theirs whom the master names.
    pub keys: Vec<PublicKey>,
    /// Who keeps the cache, unless it is a master of another make.
    pub master: Option<CacheMaster>,
    /// What becomes of what this box builds.
    pub offers: Offers,
    /// What went otherwise than hoped.
    pub notes: Notes,
}

/// What becomes of what this box builds.
#[derive(Clone, Debug, Default)]
pub struct Offers {
    /// Whether the master gets it.
    pub to_master: bool,
    /// The folder that gets it, for a static server.
    pub folder: Option<Utf8PathBuf>,
    /// Where this box keeps the key that it signs by.
    pub key: Utf8PathBuf,
    /// What the master calls this box.
    pub computer: String,
}

impl Offers {
    /// Says whether anybody gets it.
    pub fn any(&self) -> bool {
        self.to_master || self.folder.is_some()
    }
}

/// What is offered: an entry, the bytes of it that are signed, and the archive that it describes.
#[derive(Clone, Debug)]
pub struct Offered {
    pub entry: CacheEntry,
    pub bytes: Vec<u8>,
    /// In base64.
    pub signature: String,
    pub archive: Utf8PathBuf,
}

/// What a master answers; what goes wrong comes as words.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// A master that may keep a cache.
pub trait KeepsCache: Send + Sync {
    /// Returns where its files are; nothing if it keeps none.
    fn url(&self) -> Answer<'_, Option<String>>;
    /// Returns the keys, in PEM, of those whose builds this box may take.
    fn keys(&self) -> Answer<'_, Vec<String>>;
    /// Says by which key this box signs; it is an error if nobody would take what it builds.
    fn announce<'a>(&'a self, key: &'a str) -> Answer<'a, ()>;
    /// Brings what this box built.
    fn offer<'a>(&'a self, offered: &'a Offered) -> Answer<'a, ()>;
}

/// A master that may keep a cache, shared by those who ask it.
#[derive(Clone)]
pub struct CacheMaster(Arc<dyn KeepsCache>);

impl CacheMaster {
    /// Takes whom to ask.
    pub fn new(master: Arc<dyn KeepsCache>) -> Self {
        Self(master)
    }
}

impl fmt::Debug for CacheMaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheMaster")
    }
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    Take,
    Offer,
}

/// What went otherwise than hoped, by release, in words.
#[derive(Clone, Debug, Default)]
pub struct Notes(Arc<Mutex<BTreeMap<(SoftwareUrl, Topic), String>>>);

impl Notes {
    fn say(&self, url: &SoftwareUrl, topic: Topic, words: String) {
        self.lock().insert((url.clone(), topic), words);
    }

    fn clear(&self, url: &SoftwareUrl, topic: Topic) {
        self.lock().remove(&(url.clone(), topic));
    }

    /// Returns all notes.
    pub fn all(&self) -> Vec<(SoftwareUrl, String)> {
        let notes = self.lock();
        let notes = notes.iter();
        notes
            .map(|((url, _), words)| (url.clone(), words.clone()))
            .collect()
    }

    /// Forgets what concerns releases that nobody wants any more.
    pub fn retain(&self, wanted: impl Fn(&SoftwareUrl) -> bool) {
        self.lock().retain(|(url, _), _| wanted(url));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(SoftwareUrl, Topic), String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the directories of an installed release, below that of all releases: its own, and those of the parts that it shares.
fn directories(software: &Utf8Path, url: &SoftwareUrl) -> Result<Vec<Utf8PathBuf>, SoftwareError> {
    let own = ReleaseId::of(url);
    let parts = shared::used_by(software, &directory(software, url))?;
    let parts = parts.iter().map(shared::below);
    Ok([own.as_str().into()].into_iter().chain(parts).collect())
}
