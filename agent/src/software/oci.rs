//! The engine for OCI images: layout archives and what registries have, each unpacked under another name and renamed when it
//! is complete.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt as _;

use camino::Utf8Path;

use super::archive::{self, Archive, ArchiveError, Descriptor};
use super::budget::Budget;
use super::image::Image;
use super::registry::{self, SCHEME};
use super::store::Store;
use super::{
    COMPLETED, INSTANTIATE, Makes, Release, ReleaseId, Runs, SoftwareError, blocking, directory,
    disk_error, download, image, periodicity, remove_all, sync, unpack,
};
use crate::desired::SoftwareUrl;
use crate::workload::Fetcher;

/// The image's configuration, which has the digests of its layers.
pub(super) const CONFIGURATION: &str = "config.json";

/// Reads what an unpacked image is.
pub(super) fn read(folder: &Utf8Path) -> Result<Release, SoftwareError> {
    let path = folder.join(CONFIGURATION);
    let configuration = fs::read(&path).map_err(|source| disk_error(&path, source))?;
    let rootfs = folder.join("rootfs");
    let has_script = rootfs.join(&INSTANTIATE[1..]).symlink_metadata().is_ok();
    Ok(Release {
        runs: Runs::parse(&configuration).map_err(SoftwareError::Configuration)?,
        makes: if has_script {
            Makes::Script
        } else {
            Makes::Nothing
        },
        // Beside its script.
        periodicity: periodicity(&rootfs.join("slapos")),
        rootfs,
    })
}

/// Fetches it, verifies it, unpacks it, and gives it its name last.
pub(super) async fn install(
    fetcher: &Fetcher,
    software: &Utf8Path,
    url: &SoftwareUrl,
) -> Result<(), SoftwareError> {
    let building = software.join(format!(".new-{}", ReleaseId::of(url)));
    remove_all(&building)?;
    make_private(&building)?;
    let finished = directory(software, url);
    let result = async {
        fetch(fetcher, url, &building).await?;
        let building = building.clone();
        blocking(move || {
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

async fn fetch(
    fetcher: &Fetcher,
    url: &SoftwareUrl,
    folder: &Utf8Path,
) -> Result<(), SoftwareError> {
    let building = folder.to_owned();
    if url.as_str().starts_with(SCHEME) {
        let blobs = folder.join("blobs");
        let pulled = registry::pull(fetcher, url.as_str(), &blobs).await;
        let image = pulled.map_err(SoftwareError::Registry)?;
        return blocking(move || {
            let open = |layer: &Descriptor| archive::open_blob(&blobs, layer);
            let store = lay_down(&image, open, &building)?;
            remove_all(&blobs)?;
            complete(&image, store, &building)
        })
        .await;
    }
    let archive = folder.join("archive");
    let fetched = download::download(fetcher, url.as_str(), &archive).await;
    fetched.map_err(SoftwareError::Download)?;
    blocking(move || unpack_archive(&archive, &building)).await
}

/// Makes a folder, and those above it, that only root may enter: what is in it has owners who are not the node's.
pub(super) fn make_private(folder: &Utf8Path) -> Result<(), SoftwareError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o755);
    let above = folder
        .parent()
        .map_or(Ok(()), |above| builder.create(above));
    above
        .and_then(|()| fs::DirBuilder::new().mode(0o700).create(folder))
        .map_err(|source| disk_error(folder, source))
}

/// Verifies the archive and lays its image into `folder`; the archive is gone afterwards.
pub(super) fn unpack_archive(archive: &Utf8Path, folder: &Utf8Path) -> Result<(), SoftwareError> {
    let disk = |path: &Utf8Path| {
        let path = path.to_owned();
        move |source| disk_error(&path, source)
    };
    let file = File::open(archive).map_err(disk(archive))?;
    let opened = Archive::open(file).map_err(SoftwareError::Archive)?;
    let image = image::find(&opened, image::own_architecture()).map_err(SoftwareError::Archive)?;
    let store = lay_down(&image, |layer| opened.blob(layer), folder)?;
    drop(opened);
    fs::remove_file(archive).map_err(disk(archive))?;
    complete(&image, store, folder)
}

/// Lays the layers of an image into `folder`, from the lowest up.
fn lay_down<R: Read>(
    image: &Image,
    open: impl Fn(&Descriptor) -> Result<R, ArchiveError>,
    folder: &Utf8Path,
) -> Result<Store, SoftwareError> {
    Runs::parse(&image.configuration).map_err(SoftwareError::Configuration)?;
    let rootfs = folder.join("rootfs");
    let disk = |source| disk_error(&rootfs, source);
    fs::create_dir(&rootfs).map_err(disk)?;
    let mut budget = Budget::of_disk(folder).map_err(disk)?;
    let software = folder.parent().unwrap_or(folder);
    let store = Store::open(software, folder).map_err(disk)?;
    let target = unpack::Target::open(&rootfs).map_err(SoftwareError::Unpack)?;
    let target = target.sharing(&store);
    for (number, layer) in image.layers.iter().enumerate() {
        let content = || open(layer).map_err(SoftwareError::Archive);
        if number > 0 {
            target.subtract(content()?).map_err(SoftwareError::Unpack)?;
        }
        let added = target.add(content()?, &mut budget);
        added.map_err(SoftwareError::Unpack)?;
    }
    Ok(store)
}

/// Says that a release is complete, when it is safe on the disk.
fn complete(image: &Image, store: Store, folder: &Utf8Path) -> Result<(), SoftwareError> {
    sync(folder)?;
    store.keep().map_err(|source| disk_error(folder, source))?;
    let configuration = folder.join(CONFIGURATION);
    crate::disk::replace(&configuration, &image.configuration)
        .and_then(|()| crate::disk::replace(&folder.join(COMPLETED), b""))
        .map_err(|error| disk_error(folder, io::Error::other(error)))?;
    sync(folder)
}
