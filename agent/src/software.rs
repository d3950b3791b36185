//! Installed software releases, each in a folder named by its URL: OCI images, unpacked once and run from there, and what buildout built.
//!
//! A release is there or not: the last thing that an engine does is to say that it is complete.

use std::fs::{self, File};
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::sync::Semaphore;

use crate::desired::SoftwareUrl;
use crate::inside::Inside;
use crate::instances::periodicity::{self, Periodicity};
use crate::workload::Fetcher;
use buildout::{Newest, Workshop};

mod archive;
mod budget;
pub mod buildout;
pub mod cache;
mod download;
mod engine;
mod id;
pub mod idle;
mod image;
pub mod installer;
mod oci;
mod public_key;
mod registry;
mod remains;
pub mod shared;
mod store;
mod tar_stream;
mod unpack;

pub use archive::ArchiveError;
pub use buildout::BuildError;
pub use download::DownloadError;
pub use engine::Engine;
pub use id::{NotARelease, ReleaseId};
pub use image::{Device, Port, Runs, Transport, Volume};
pub use public_key::{NotAKey, PublicKey};
pub use registry::{BlobError, NotAReference, RegistryError, SignatureError};
pub use unpack::UnpackError;

/// A release could not be installed, removed or read.
#[derive(Debug, thiserror::Error)]
pub enum SoftwareError {
    #[error(
        "no engine installs it: its URL must end in .oci.tar, .oci.tar.gz or .oci.tar.zst, or in .cfg, or begin with docker://"
    )]
    NoEngine,
    #[error("it is an image, which is what it is: only what buildout builds can be built again")]
    NotBuilt,
    #[error("failed to build it")]
    Build(#[source] BuildError),
    #[error("failed to fetch it")]
    Download(#[source] DownloadError),
    #[error("failed to pull it")]
    Registry(#[source] RegistryError),
    #[error("failed to use its archive")]
    Archive(#[source] ArchiveError),
    #[error("failed to unpack it")]
    Unpack(#[source] UnpackError),
    #[error("failed to change `{path}`")]
    Disk {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to find the shared parts of `{path}`")]
    Parts {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to understand its configuration")]
    Configuration(#[source] serde_json::Error),
    #[error("failed to finish")]
    Interrupted(#[source] tokio::task::JoinError),
}

/// An installed release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// What programs see as `/`.
    pub rootfs: Utf8PathBuf,
    /// What its image runs, and with which environment; nothing if it is no image's.
    pub runs: Runs,
    pub makes: Makes,
    /// How often its instances are processed again.
    pub periodicity: Periodicity,
}

/// How a release makes an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Makes {
    /// It has nothing to make: its image has one program.
    Nothing,
    /// By its `/slapos/instantiate`.
    Script,
    /// By the buildout in this folder, which its programs see, too.
    Buildout(Utf8PathBuf),
}

impl Release {
    /// Returns the Python that the release has: buildout's own, or the one where images have theirs. As its programs name it.
    pub fn python(&self) -> Option<String> {
        match &self.makes {
            Makes::Buildout(folder) => buildout::python(folder),
            Makes::Nothing | Makes::Script => {
                let python = self.rootfs.join(&PYTHON[1..]).symlink_metadata();
                python.is_ok().then(|| PYTHON.to_owned())
            }
        }
    }
}

/// Reads how often the instances of what is in a folder are processed again.
fn periodicity(folder: &Utf8Path) -> Periodicity {
    let said = Inside::open(folder);
    let said = said.and_then(|inside| inside.read(periodicity::FILE, periodicity::LONGEST));
    Periodicity::parse(&said.ok().flatten().unwrap_or_default())
}

/// The program that makes an instance, in an image that has one.
pub const INSTANTIATE: &str = "/slapos/instantiate";
const COMPLETED: &str = ".completed";
const PYTHON: &str = "/usr/bin/python3";

/// Returns the directory of a release.
pub fn directory(software: &Utf8Path, url: &SoftwareUrl) -> Utf8PathBuf {
    software.join(ReleaseId::of(url).as_str())
}

/// Returns whether a release is installed.
pub fn is_installed(software: &Utf8Path, url: &SoftwareUrl) -> bool {
    is_complete(software, &ReleaseId::of(url))
}

fn is_complete(software: &Utf8Path, id: &ReleaseId) -> bool {
    software.join(id.as_str()).join(COMPLETED).exists()
}

/// Reads what an installed release is.
pub fn read(software: &Utf8Path, url: &SoftwareUrl) -> Result<Release, SoftwareError> {
    let folder = directory(software, url);
    match Engine::of(url) {
        Some(Engine::Oci) => oci::read(&folder),
        Some(Engine::Buildout) => buildout::read(software, &folder),
        None => Err(SoftwareError::NoEngine),
    }
}

/// Who waits for whom: images come one after the other, and so do builds, which may take hours, and what is offered to others.
#[derive(Debug)]
pub struct Turns {
    images: Semaphore,
    builds: Semaphore,
    offers: Semaphore,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            images: Semaphore::new(1),
            builds: Semaphore::new(1),
            offers: Semaphore::new(1),
        }
    }
}

/// How a release came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is what its URL names, or what another node built.
    Fetched,
    /// It was built here.
    Built,
}

/// Installs a release when it is its turn; says whether it had to be built.
pub async fn install(
    fetcher: &Fetcher,
    workshop: &Workshop,
    turns: &Turns,
    software: &Utf8Path,
    url: &SoftwareUrl,
) -> Result<Origin, SoftwareError> {
    match Engine::of(url) {
        Some(Engine::Oci) => {
            let _turn = turns.images.acquire().await;
            oci::install(fetcher, software, url).await?;
            Ok(Origin::Fetched)
        }
        Some(Engine::Buildout) => {
            {
                let _turn = turns.images.acquire().await;
                buildout::fetch_builder(workshop, fetcher, software).await?;
            }
            if cache::take(fetcher, workshop, turns, software, url).await {
                return Ok(Origin::Fetched);
            }
            let _turn = turns.builds.acquire().await;
            buildout::install(workshop, software, url, Newest::AsBefore).await?;
            Ok(Origin::Built)
        }
        None => Err(SoftwareError::NoEngine),
    }
}

/// Builds a release again when it is its turn. From its beginning on it is not installed, since nobody knows what an interrupted
/// build has left of it.
pub async fn build_again(
    fetcher: &Fetcher,
    workshop: &Workshop,
    turns: &Turns,
    software: &Utf8Path,
    url: &SoftwareUrl,
) -> Result<(), SoftwareError> {
    if Engine::of(url) != Some(Engine::Buildout) {
        return Err(SoftwareError::NotBuilt);
    }
    {
        let _turn = turns.images.acquire().await;
        buildout::fetch_builder(workshop, fetcher, software).await?;
    }
    let _turn = turns.builds.acquire().await;
    let completed = directory(software, url).join(COMPLETED);
    crate::disk::remove(&completed)
        .map_err(|error| disk_error(&completed, io::Error::other(error)))?;
    buildout::install(workshop, software, url, Newest::OfAll).await
}

/// Removes a release; one that is not there is removed already.
pub async fn remove(software: &Utf8Path, release: &ReleaseId) -> Result<(), SoftwareError> {
    let folder = software.join(release.as_str());
    let leaving = software.join(format!(".old-{release}"));
    let software = software.to_owned();
    blocking(move || {
        // A half-removed release must not look like an installed one.
        remove_all(&leaving)?;
        match fs::rename(&folder, &leaving) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(disk_error(&folder, source)),
            Ok(()) => remove_all(&leaving),
        }?;
        store::sweep(&software).map_err(|source| disk_error(&software, source))
    })
    .await
}

fn sync(folder: &Utf8Path) -> Result<(), SoftwareError> {
    let sync = || Ok(nix::unistd::syncfs(File::open(folder)?)?);
    sync().map_err(|source| disk_error(folder, source))
}

fn remove_all(folder: &Utf8Path) -> Result<(), SoftwareError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|source| disk_error(folder, source)),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SoftwareError> + Send + 'static,
) -> Result<T, SoftwareError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(SoftwareError::Interrupted)?
}

fn disk_error(path: &Utf8Path, source: io::Error) -> SoftwareError {
    SoftwareError::Disk {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
