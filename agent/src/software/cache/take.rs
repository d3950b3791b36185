//! Takes a release that another node built: looks whether there is one, holds all of it against its signature and digest before anything
//! is unpacked, unpacks it beside, and gives it its name last.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use slap::v1::{
    CACHE_ENTRY_MAX_BYTES, CACHE_SIGNATURE_MAX_BYTES, CacheEntry, CacheFile, CacheSystem, Sha256Hex,
};
use tokio::time::timeout;

use super::entry::{self, EntryError};
use super::{Cache, Topic, system};
use crate::causes::in_one_line;
use crate::desired::SoftwareUrl;
use crate::partitions::users::Ids;
use crate::software::budget::Budget;
use crate::software::buildout::{self, Workshop};
use crate::software::download::{self, DownloadError};
use crate::software::unpack::Target;
use crate::software::{
    PublicKey, ReleaseId, SoftwareError, Turns, UnpackError, blocking, directory, disk_error, oci,
    remove_all, shared, sync,
};
use crate::workload::Fetcher;

/// Why a release was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum TakeError {
    #[error("the master cannot be asked about it: {0}")]
    Ask(String),
    #[error("failed to fetch `{file}`")]
    Fetch {
        file: CacheFile,
        #[source]
        source: DownloadError,
    },
    #[error(transparent)]
    Entry(EntryError),
    #[error("its archive has {found} bytes, and not {announced}")]
    Size { announced: u64, found: u64 },
    #[error("its archive is another than the one that was signed: its digest is {0}")]
    Digest(Sha256Hex),
    #[error("its archive has no `bin/buildout`")]
    NotBuilt,
    #[error("failed to unpack it")]
    Unpack(#[source] UnpackError),
    #[error(transparent)]
    Software(SoftwareError),
}

impl From<SoftwareError> for TakeError {
    fn from(error: SoftwareError) -> Self {
        Self::Software(error)
    }
}

/// Whoever keeps a cache answers soon, or the release is built.
const PATIENCE: Duration = Duration::from_secs(10);
/// An entry that is replaced while it is fetched has another's signature once.
const REPLACED_WITHIN: Duration = Duration::from_secs(1);

/// Takes a release, if the cache has it and all is right with it. What is not right is said; then the release is to be built.
pub(in crate::software) async fn take(
    fetcher: &Fetcher,
    workshop: &Workshop,
    turns: &Turns,
    software: &Utf8Path,
    url: &SoftwareUrl,
) -> bool {
    let notes = &workshop.cache.notes;
    let taken = Taking::begin(fetcher, workshop, software, url).await;
    let taken = match taken {
        Ok(Some(taking)) => taking.run(turns).await,
        Ok(None) => Ok(false),
        Err(error) => Err(error),
    };
    match taken {
        Ok(taken) => {
            notes.clear(url, Topic::Take);
            taken
        }
        Err(error) => {
            let words = in_one_line(&error);
            tracing::warn!(%url, "it is not taken from the cache, but built: {words}");
            let words = format!("it was not taken from the cache, but built here: {words}");
            notes.say(url, Topic::Take, words);
            false
        }
    }
}

/// A release that may be taken.
struct Taking<'a> {
    fetcher: &'a Fetcher,
    workshop: &'a Workshop,
    software: &'a Utf8Path,
    url: &'a SoftwareUrl,
    /// Where the files of the cache are.
    place: String,
    keys: Vec<PublicKey>,
    system: CacheSystem,
}

impl<'a> Taking<'a> {
    /// Finds out where to look; nothing if there is nowhere to, or nobody is believed.
    async fn begin(
        fetcher: &'a Fetcher,
        workshop: &'a Workshop,
        software: &'a Utf8Path,
        url: &'a SoftwareUrl,
    ) -> Result<Option<Self>, TakeError> {
        let found = timeout(PATIENCE, place_and_keys(&workshop.cache)).await;
        let found = found.map_err(|_| TakeError::Ask("it does not answer".to_owned()))?;
        let Some((place, keys)) = found.map_err(TakeError::Ask)? else {
            return Ok(None);
        };
        if keys.is_empty() {
            return Ok(None);
        }
        let system = system::of(software, workshop.builder()?)?;
        Ok(Some(Self {
            fetcher,
            workshop,
            software,
            url,
            place,
            keys,
            system,
        }))
    }

    async fn run(&self, turns: &Turns) -> Result<bool, TakeError> {
        let Some(entry) = self.entry().await? else {
            return Ok(false);
        };
        let release = ReleaseId::of(self.url);
        let beside = self.software.join(format!(".new-{release}"));
        let result = async {
            let built = {
                let _turn = turns.images.acquire().await;
                remove_all(&beside)?;
                oci::make_private(&beside)?;
                self.unpacked(&entry, &beside, release).await?
            };
            self.keep(turns, built).await
        }
        .await;
        blocking(move || remove_all(&beside)).await?;
        result?;
        tracing::info!(url = %self.url, by = entry.made_by, "taken from the cache");
        Ok(true)
    }

    /// Returns the entry of the release, if there is one that is believed.
    async fn entry(&self) -> Result<Option<CacheEntry>, TakeError> {
        match self.look().await {
            Err(TakeError::Entry(EntryError::Stranger)) => {
                tokio::time::sleep(REPLACED_WITHIN).await;
                self.look().await
            }
            other => other,
        }
    }

    async fn look(&self) -> Result<Option<CacheEntry>, TakeError> {
        let name = slap::v1::CacheName::of(self.url.as_str());
        let entry = CacheFile::Entry(name.clone());
        let Some(bytes) = self.small(entry, CACHE_ENTRY_MAX_BYTES).await? else {
            return Ok(None);
        };
        let signature = CacheFile::Signature(name);
        let signature = self.small(signature, CACHE_SIGNATURE_MAX_BYTES).await?;
        let signature = signature.ok_or(TakeError::Entry(EntryError::NoSignature))?;
        entry::believed(&bytes, &signature, &self.keys, self.url, &self.system)
            .map(Some)
            .map_err(TakeError::Entry)
    }

    fn url_of(&self, file: &CacheFile) -> String {
        format!("{}/{}/{file}", self.place, self.system)
    }

    async fn small(&self, file: CacheFile, most: usize) -> Result<Option<Vec<u8>>, TakeError> {
        let url = self.url_of(&file);
        let fetched = timeout(PATIENCE, download::fetch_small(self.fetcher, &url, most)).await;
        fetched
            .unwrap_or(Err(DownloadError::Silent))
            .map_err(|source| TakeError::Fetch { file, source })
    }

    /// Fetches the archive, verifies it, and unpacks it.
    async fn unpacked(
        &self,
        entry: &CacheEntry,
        beside: &Utf8Path,
        release: ReleaseId,
    ) -> Result<Built, TakeError> {
        let file = CacheFile::Archive(entry.sha256.clone());
        let archive = beside.join("archive");
        let url = self.url_of(&file);
        let fetched = download::download_as_sent(self.fetcher, &url, &archive, entry.size).await;
        let (found, digest) = fetched.map_err(|source| TakeError::Fetch { file, source })?;
        let announced = entry.size;
        if found != announced {
            return Err(TakeError::Size { announced, found });
        }
        let digest = Sha256Hex::of(digest);
        if digest != entry.sha256 {
            return Err(TakeError::Digest(digest));
        }
        let built = Built {
            release,
            tree: beside.join("tree"),
            ids: self.workshop.software_user()?,
        };
        let unpacked = tokio::task::spawn_blocking(move || built.unpack(&archive).map(|()| built));
        unpacked.await.map_err(SoftwareError::Interrupted)?
    }

    /// Gives the release its name, and says last that it is complete.
    async fn keep(&self, turns: &Turns, built: Built) -> Result<(), TakeError> {
        let _turn = match shared::folder(&built.tree).exists() {
            // Whoever builds may be at the same parts.
            true => Some(turns.builds.acquire().await),
            false => None,
        };
        let (workshop, software) = (self.workshop, self.software.to_owned());
        let (url, builder) = (self.url.clone(), workshop.builder()?.clone());
        let (run, now) = (workshop.run.clone(), (workshop.clock)());
        blocking(move || {
            built.keep(&software, &run)?;
            let folder = directory(&software, &url);
            buildout::prepare(&folder, &url, &builder, built.ids)?;
            buildout::complete(&folder, now)
        })
        .await?;
        Ok(())
    }
}

/// Returns where the files of the cache are and whose builds are taken; nothing if there is no cache.
async fn place_and_keys(cache: &Cache) -> Result<Option<(String, Vec<PublicKey>)>, String> {
    let of_master = match &cache.master {
        Some(master) => match master.0.url().await {
            Ok(url) => url,
            // What somebody else serves does not wait for the master.
            Err(error) if cache.url.is_some() && !cache.keys.is_empty() => {
                tracing::info!("the master cannot be asked whose builds to take: {error}");
                None
            }
            Err(error) => return Err(error),
        },
        None => None,
    };
    let mut keys = cache.keys.clone();
    if let (Some(_), Some(master)) = (&of_master, &cache.master) {
        let named = master.0.keys().await?;
        // The master takes no others.
        keys.extend(named.iter().filter_map(|pem| PublicKey::parse(pem).ok()));
    }
    let place = cache.url.clone().or(of_master);
    Ok(place.map(|place| (place, keys)))
}

/// A release that is what was signed, unpacked into a tree of its own.
struct Built {
    release: ReleaseId,
    tree: Utf8PathBuf,
    ids: Ids,
}

impl Built {
    /// Unpacks it as it is where it is built: the release is the software user's, shared parts are root's.
    fn unpack(&self, archive: &Utf8Path) -> Result<(), TakeError> {
        let disk = |source| disk_error(&self.tree, source);
        fs::create_dir(&self.tree).map_err(disk)?;
        let mut budget = Budget::of_disk(&self.tree).map_err(disk)?;
        let owner = |path: &Path| {
            let of_part = shared::is_in_part(path).then_some(Ids { uid: 0, ..self.ids });
            let is_own = path.starts_with(self.release.as_str());
            is_own.then_some(self.ids).or(of_part)
        };
        let target = Target::open(&self.tree).map_err(TakeError::Unpack)?;
        let target = target.owned_as(&owner);
        let archive = File::open(archive).map_err(disk)?;
        target
            .add(archive, &mut budget)
            .map_err(TakeError::Unpack)?;
        let own = self.tree.join(self.release.as_str()).join("bin/buildout");
        own.symlink_metadata()
            .map(drop)
            .map_err(|_| TakeError::NotBuilt)
    }

    /// Puts everything in its place, where a failed build may have left something.
    fn keep(&self, software: &Utf8Path, run: &Utf8Path) -> Result<(), SoftwareError> {
        sync(&self.tree)?;
        shared::adopt(software, run, self.ids, &self.tree)?;
        let release = self.release.as_str();
        let (from, to) = (self.tree.join(release), software.join(release));
        remove_all(&to)?;
        fs::rename(&from, &to).map_err(|source| disk_error(&to, source))?;
        sync(software)
    }
}
