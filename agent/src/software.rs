//! Installed software releases: OCI images from layout archives, each unpacked once and run from there.
//!
//! A release is there or not: it is built under another name and renamed when complete.

use std::fs::{self, File};
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use md5::{Digest as _, Md5};

use crate::desired::SoftwareUrl;
use crate::workload::Fetcher;

mod archive;
mod budget;
mod download;
mod image;
pub mod installer;
mod tar_stream;
mod unpack;

pub use archive::ArchiveError;
pub use download::DownloadError;
pub use image::Runs;
pub use unpack::UnpackError;

use archive::Archive;
use budget::Budget;

/// A release could not be installed, removed or read.
#[derive(Debug, thiserror::Error)]
pub enum SoftwareError {
    #[error("no engine installs it: its URL must end in .oci.tar, .oci.tar.gz or .oci.tar.zst")]
    NoEngine,
    #[error("failed to fetch it")]
    Download(#[source] DownloadError),
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
    pub runs: Runs,
    /// Whether it has `/slapos/instantiate`.
    pub instantiates: bool,
}

/// The program that makes an instance, in an image that has one.
pub const INSTANTIATE: &str = "/slapos/instantiate";
const COMPLETED: &str = ".completed";

/// Returns the directory of a release.
pub fn directory(software: &Utf8Path, url: &SoftwareUrl) -> Utf8PathBuf {
    software.join(name(url))
}

/// Returns whether a release is installed.
pub fn is_installed(software: &Utf8Path, url: &SoftwareUrl) -> bool {
    directory(software, url).join(COMPLETED).exists()
}

/// Reads what an installed release is.
pub fn read(software: &Utf8Path, url: &SoftwareUrl) -> Result<Release, SoftwareError> {
    let folder = directory(software, url);
    let path = folder.join("config.json");
    let configuration = fs::read(&path).map_err(|source| disk_error(&path, source))?;
    let rootfs = folder.join("rootfs");
    Ok(Release {
        runs: Runs::parse(&configuration).map_err(SoftwareError::Configuration)?,
        instantiates: rootfs.join(&INSTANTIATE[1..]).symlink_metadata().is_ok(),
        rootfs,
    })
}

/// Installs a release: fetches its archive, verifies it, unpacks it, and gives it its name last.
pub async fn install(
    fetcher: &Fetcher,
    software: &Utf8Path,
    url: &SoftwareUrl,
) -> Result<(), SoftwareError> {
    check_engine(url)?;
    let building = software.join(format!(".new-{}", name(url)));
    let archive = building.join("archive");
    remove_all(&building)?;
    fs::create_dir_all(&building).map_err(|source| disk_error(&building, source))?;
    let finished = directory(software, url);
    let result = async {
        download::download(fetcher, url.as_str(), &archive)
            .await
            .map_err(SoftwareError::Download)?;
        let building = building.clone();
        blocking(move || {
            unpack_archive(&archive, &building)?;
            remove_all(&finished)?;
            fs::rename(&building, &finished).map_err(|source| disk_error(&finished, source))?;
            sync(finished.parent().unwrap_or(&finished))
        })
        .await
    }
    .await;
    if result.is_err() {
        blocking(move || remove_all(&building)).await?;
    }
    result
}

/// Removes a release; one that is not there is removed already.
pub async fn remove(software: &Utf8Path, url: &SoftwareUrl) -> Result<(), SoftwareError> {
    let folder = directory(software, url);
    let leaving = software.join(format!(".old-{}", name(url)));
    blocking(move || {
        // A half-removed release must not look like an installed one.
        remove_all(&leaving)?;
        match fs::rename(&folder, &leaving) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(disk_error(&folder, source)),
            Ok(()) => remove_all(&leaving),
        }
    })
    .await
}

/// Returns the name of a release's directory: the MD5 of its URL, as the peer has it.
fn name(url: &SoftwareUrl) -> String {
    let digest = Md5::digest(url.as_str());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check_engine(url: &SoftwareUrl) -> Result<(), SoftwareError> {
    let path = url.as_str().split(['?', '#']).next().unwrap_or_default();
    let ends = [".oci.tar", ".oci.tar.gz", ".oci.tar.zst"];
    match ends.iter().any(|end| path.ends_with(end)) {
        true => Ok(()),
        false => Err(SoftwareError::NoEngine),
    }
}

/// Verifies the archive and lays its image into `folder`; the archive is gone afterwards.
fn unpack_archive(archive: &Utf8Path, folder: &Utf8Path) -> Result<(), SoftwareError> {
    let disk = |path: &Utf8Path| {
        let path = path.to_owned();
        move |source| disk_error(&path, source)
    };
    let file = File::open(archive).map_err(disk(archive))?;
    let opened = Archive::open(file).map_err(SoftwareError::Archive)?;
    let image = image::find(&opened, image::own_architecture()).map_err(SoftwareError::Archive)?;
    Runs::parse(&image.configuration).map_err(SoftwareError::Configuration)?;
    let rootfs = folder.join("rootfs");
    fs::create_dir(&rootfs).map_err(disk(&rootfs))?;
    let mut budget = Budget::of_disk(folder).map_err(disk(folder))?;
    let target = unpack::Target::open(&rootfs).map_err(SoftwareError::Unpack)?;
    for (number, layer) in image.layers.iter().enumerate() {
        let blob = |layer| opened.blob(layer).map_err(SoftwareError::Archive);
        if number > 0 {
            let content = blob(layer)?;
            target.subtract(content).map_err(SoftwareError::Unpack)?;
        }
        let content = blob(layer)?;
        target
            .add(content, &mut budget)
            .map_err(SoftwareError::Unpack)?;
    }
    drop(opened);
    fs::remove_file(archive).map_err(disk(archive))?;
    let configuration = folder.join("config.json");
    crate::disk::replace(&configuration, &image.configuration)
        .and_then(|()| crate::disk::replace(&folder.join(COMPLETED), b""))
        .map_err(|error| disk_error(folder, io::Error::other(error)))?;
    sync(folder)
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
