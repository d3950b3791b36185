//! Offers what this box built: packs it as the software's user and at low weight, signs what is said of it, and brings it to the master, to
//! a folder, or to both. In the background, when everybody on this box has the release already; tried again a few times.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, chown};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};
use slap::v1::{CACHE_VERSION, CacheEntry, CacheFile, Sha256Hex};
use tokio::sync::{Semaphore, watch};

use super::{CacheMaster, Offered, Offers, Topic, directories, system};
use crate::causes::in_one_line;
use crate::clock::unix_seconds;
use crate::desired::SoftwareUrl;
use crate::disk;
use crate::identity::{self, Key, KeyError};
use crate::instances::confinement::{self, CONFIGURATION_SLICE, Site};
use crate::software::budget::Budget;
use crate::software::buildout::{self, Workshop};
use crate::software::{
    ReleaseId, SoftwareError, blocking, directory, disk_error, is_installed, remove_all,
};
use crate::systemd::{SystemdError, property};

/// Why what was built could not be offered.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    #[error("the key of this box cannot be made or read")]
    Key(#[source] identity::Error),
    #[error("failed to sign it")]
    Sign(#[source] KeyError),
    #[error("{0}")]
    Master(String),
    #[error("this box has no master that keeps a cache")]
    NoMaster,
    #[error("failed to pack it")]
    Run(#[source] SystemdError),
    #[error("there is not enough space on the disk to pack it")]
    NoRoom,
    #[error("packing it failed ({result}): {output}")]
    Pack { result: String, output: String },
    #[error("failed to write to the cache's folder")]
    Folder(#[source] disk::Error),
    #[error(transparent)]
    Software(SoftwareError),
}

impl From<SoftwareError> for OfferError {
    fn from(error: SoftwareError) -> Self {
        Self::Software(error)
    }
}

/// How long to wait before each further attempt.
const RESTS: [Duration; 4] = [
    Duration::from_secs(60),
    Duration::from_secs(600),
    Duration::from_secs(3600),
    Duration::from_secs(6 * 3600),
];
/// As the program that this is.
const AGENT: &str = "/usr/bin/slapbox-agent";
/// Says of a release that it is still to be offered.
pub(super) const UNOFFERED: &str = ".unoffered";
/// What is packed at the moment, beside the releases.
const PACKING: &str = ".offer";
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// What people copy into the documents of those who shall take what is in a folder.
const PUBLIC_KEY: &str = "key.pub";
const BUFFER: usize = 64 * 1024;

/// Notes that a release was built here and nobody has it yet: an agent after this one goes on offering it.
pub(in crate::software) fn intend(software: &Utf8Path, url: &SoftwareUrl) {
    let note = directory(software, url).join(UNOFFERED);
    if let Err(error) = disk::replace(&note, b"") {
        tracing::warn!(%url, "{}", in_one_line(&error));
    }
}

/// Says whether that was noted.
pub(in crate::software) fn is_intended(software: &Utf8Path, url: &SoftwareUrl) -> bool {
    directory(software, url).join(UNOFFERED).exists()
}

fn is_over(software: &Utf8Path, url: &SoftwareUrl) {
    if let Err(error) = disk::remove(&directory(software, url).join(UNOFFERED)) {
        tracing::warn!(%url, "{}", in_one_line(&error));
    }
}

/// Offers a release until it is taken, was tried often enough, or is gone. Moves `changes` when there is something to say.
pub(in crate::software) async fn offer(
    workshop: &Workshop,
    software: &Utf8Path,
    url: &SoftwareUrl,
    turn: &Semaphore,
    changes: &watch::Sender<u64>,
) {
    let notes = &workshop.cache.notes;
    for (tried, rest) in (1..).zip(RESTS.iter().map(Some).chain([None])) {
        let held = turn.acquire().await;
        if !is_installed(software, url) {
            return notes.clear(url, Topic::Offer);
        }
        let offering = Offering {
            workshop,
            software,
            url,
        };
        let Err(error) = offering.run().await else {
            tracing::info!(%url, "it is offered to others");
            is_over(software, url);
            notes.clear(url, Topic::Offer);
            return changes.send_modify(|count| *count += 1);
        };
        drop(held);
        let words = in_one_line(&error);
        tracing::warn!(%url, "what was built is not offered to others: {words}");
        let then = match rest {
            Some(rest) => format!("it is tried again in {} min", rest.as_secs() / 60),
            None => format!("it was tried {tried} times, and is not tried again"),
        };
        let words = format!("what was built here is not offered to others: {words}; {then}");
        notes.say(url, Topic::Offer, words);
        changes.send_modify(|count| *count += 1);
        match rest {
            Some(rest) => tokio::time::sleep(*rest).await,
            None => is_over(software, url),
        }
    }
}

/// Removes what an agent before this one was packing when it ended.
pub(in crate::software) fn forget_unfinished(software: &Utf8Path) {
    if let Err(error) = remove_all(&software.join(PACKING)) {
        tracing::warn!("{}", in_one_line(&error));
    }
}

/// One attempt.
struct Offering<'a> {
    workshop: &'a Workshop,
    software: &'a Utf8Path,
    url: &'a SoftwareUrl,
}

impl Offering<'_> {
    async fn run(&self) -> Result<(), OfferError> {
        let offers = &self.workshop.cache.offers;
        let key = identity::load_or_make_key(&offers.key).map_err(OfferError::Key)?;
        let master = self.master().transpose()?;
        if let Some(master) = master {
            // Nothing is packed for nobody.
            let announced = master.0.announce(key.public_pem()).await;
            announced.map_err(OfferError::Master)?;
        }
        let packing = self.software.join(PACKING);
        let done = self.bring(&packing, &key, master).await;
        remove_all(&packing)?;
        done
    }

    /// Returns the master that gets it, if one is to.
    fn master(&self) -> Option<Result<&CacheMaster, OfferError>> {
        let cache = &self.workshop.cache;
        let master = cache.master.as_ref().ok_or(OfferError::NoMaster);
        cache.offers.to_master.then_some(master)
    }

    async fn bring(
        &self,
        packing: &Utf8Path,
        key: &Key,
        master: Option<&CacheMaster>,
    ) -> Result<(), OfferError> {
        let archive = self.pack(packing).await?;
        let offered = self.described(archive, key).await?;
        let offers = self.workshop.cache.offers.clone();
        if offers.folder.is_some() {
            let (offered, public) = (offered.clone(), key.public_pem().to_owned());
            let laid = tokio::task::spawn_blocking(move || lay(&offers, &offered, &public)).await;
            laid.map_err(SoftwareError::Interrupted)?
                .map_err(OfferError::Folder)?;
        }
        match master {
            Some(master) => master.0.offer(&offered).await.map_err(OfferError::Master),
            None => Ok(()),
        }
    }

    /// Has a program of its own pack the release, which sees everything and may write in one folder.
    async fn pack(&self, packing: &Utf8Path) -> Result<Utf8PathBuf, OfferError> {
        remove_all(packing)?;
        let ids = self.workshop.software_user()?;
        let make = || -> io::Result<()> {
            DirBuilder::new().mode(0o700).create(packing)?;
            chown(packing, Some(ids.uid), Some(ids.gid))
        };
        make().map_err(|source| disk_error(packing, source))?;
        let archive = packing.join("archive");
        let root = ["pack", "--root", self.software.as_str(), "--to"];
        let mut command = vec![AGENT.to_owned()];
        command.extend(root.map(str::to_owned));
        command.push(archive.to_string());
        let (software, url) = (self.software.to_owned(), self.url.clone());
        let directories = blocking(move || directories(&software, &url)).await?;
        command.extend(directories.into_iter().map(String::from));
        let site = Site {
            rootfs: Utf8Path::new("/"),
            folder: packing,
            shared: None,
            ids,
            proxy: None,
        };
        let mut all = confinement::building(&site, command, LONGEST);
        all.push(property("Slice", CONFIGURATION_SLICE));
        all.push(property("PrivateNetwork", true));
        let room = Budget::of_disk(packing).map_err(|source| disk_error(packing, source))?;
        all.push(property("LimitFSIZE", room.bytes()));
        // It would be bound from where there is none, if the kernel does not count memory.
        all.push(property("MemoryPressureWatch", "off"));
        all.push(property("Description", format!("Pack {}", self.url)));
        let unit = format!("slapoffer-{}.service", ReleaseId::of(self.url));
        let ran = self.workshop.systemd.run(&unit, &all, LONGEST).await;
        let ran = ran.map_err(OfferError::Run)?;
        let is_as_long_as_may_be = || {
            let found = fs::metadata(&archive);
            found.is_ok_and(|found| found.len() >= room.bytes())
        };
        if ran.result != "done" && is_as_long_as_may_be() {
            return Err(OfferError::NoRoom);
        }
        if ran.result != "done" {
            let (result, output) = (ran.result, ran.output);
            return Err(OfferError::Pack { result, output });
        }
        Ok(archive)
    }

    /// Says what the archive is, and signs it.
    async fn described(&self, archive: Utf8PathBuf, key: &Key) -> Result<Offered, OfferError> {
        let path = archive.clone();
        let measured = tokio::task::spawn_blocking(move || measure(&path)).await;
        let (size, digest) = measured
            .map_err(SoftwareError::Interrupted)?
            .map_err(|source| disk_error(&archive, source))?;
        let builder = buildout::builder_of(self.software, self.url)?;
        let entry = CacheEntry {
            version: CACHE_VERSION,
            url: self.url.as_str().to_owned(),
            system: system::of(self.software, &builder)?,
            sha256: Sha256Hex::of(digest),
            size,
            made_at: unix_seconds((self.workshop.clock)()),
            made_by: self.workshop.cache.offers.computer.clone(),
        };
        signed(entry, archive, key).map_err(OfferError::Sign)
    }
}

/// Signs an entry.
pub(super) fn signed(
    entry: CacheEntry,
    archive: Utf8PathBuf,
    key: &Key,
) -> Result<Offered, KeyError> {
    let bytes = serde_json::to_vec(&entry).expect("names and numbers are always JSON");
    Ok(Offered {
        signature: base64(&key.sign(&bytes)?),
        entry,
        bytes,
        archive,
    })
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Returns the size and the SHA-256 of a file that another user made.
fn measure(path: &Utf8Path) -> io::Result<(u64, [u8; 32])> {
    let mut open = fs::OpenOptions::new();
    let open = open.read(true).custom_flags(libc::O_NOFOLLOW);
    let mut file = open.open(path)?;
    let (mut size, mut digest) = (0, Sha256::new());
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((size, digest.finalize().into())),
            count => {
                digest.update(&buffer[..count]);
                size += count as u64;
            }
        }
    }
}

/// Lays what is offered into the folder of a static server: the entry last, so that what it names is there.
pub(super) fn lay(offers: &Offers, offered: &Offered, public_key: &str) -> Result<(), disk::Error> {
    let Some(top) = &offers.folder else {
        return Ok(());
    };
    let entry = &offered.entry;
    let folder = top.join(entry.system.as_str());
    disk::public_folder(&folder)?;
    disk::replace(&top.join(PUBLIC_KEY), public_key.as_bytes())?;
    let archive = CacheFile::Archive(entry.sha256.clone()).to_string();
    disk::replace_by(&folder.join(archive), |file| {
        Budget::of_disk(&folder)?.take_bytes(entry.size)?;
        io::copy(&mut File::open(&offered.archive)?, file).map(drop)
    })?;
    let signature = CacheFile::Signature(entry.name()).to_string();
    disk::replace(&folder.join(signature), offered.signature.as_bytes())?;
    let name = CacheFile::Entry(entry.name()).to_string();
    disk::replace(&folder.join(name), &offered.bytes)
}
