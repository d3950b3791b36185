//! From a reference to an image on the disk: index, manifest, configuration, layers.

use std::fs;

use camino::Utf8Path;

use super::reference::Version;
use super::{Reference, Registry, RegistryError, check_room, signature};
use crate::software::archive::{self, ArchiveError, Descriptor};
use crate::software::image::{self, Image, Manifests};
use crate::workload::Fetcher;

/// How deep an index may name other indexes.
const DEEPEST_INDEX: usize = 3;

/// Pulls the image for this machine; its blobs lie in `folder` by their digests, not verified before they are used.
pub(in crate::software) async fn pull(
    fetcher: &Fetcher,
    url: &str,
    folder: &Utf8Path,
) -> Result<Image, RegistryError> {
    let reference: Reference = url.parse().map_err(RegistryError::Reference)?;
    let registry = Registry::of(fetcher, &reference)?;
    fs::create_dir(folder).map_err(|source| RegistryError::Disk {
        path: folder.to_owned(),
        source,
    })?;
    let mut text = registry.manifest(&reference.version.to_string()).await?;
    if let Version::Digest(wanted) = reference.version {
        archive::check(&text, wanted).map_err(RegistryError::Image)?;
    }
    if !fetcher.keys().is_empty() {
        signature::check(&registry, archive::digest_of(&text), fetcher.keys()).await?;
    }
    for _ in 0..=DEEPEST_INDEX {
        let manifests = image::manifests(&text).map_err(RegistryError::Image)?;
        text = match manifests.ok_or(RegistryError::Kind)? {
            Manifests::Index(index) => {
                let architecture = image::own_architecture();
                let chosen = index.choose(architecture).map_err(RegistryError::Image)?;
                let text = registry.manifest(&chosen.digest.to_string()).await?;
                archive::check(&text, chosen.digest).map_err(RegistryError::Image)?;
                text
            }
            Manifests::Image { config, layers } => {
                return blobs(&registry, &config, layers, folder).await;
            }
        };
    }
    Err(RegistryError::TooDeep)
}

async fn blobs(
    registry: &Registry<'_>,
    config: &Descriptor,
    layers: Vec<Descriptor>,
    folder: &Utf8Path,
) -> Result<Image, RegistryError> {
    let announced = layers
        .iter()
        .fold(0_u64, |sum, one| sum.saturating_add(one.size));
    check_room(announced, folder)?;
    let wrong = |error: ArchiveError| RegistryError::Image(error);
    config.check_document().map_err(wrong)?;
    let path = archive::blob_path(folder, config.digest);
    registry.blob(config, &path).await?;
    let configuration = archive::read(folder, config).map_err(wrong)?;
    image::check_platform(&configuration, image::own_architecture()).map_err(wrong)?;
    for layer in &layers {
        let path = archive::blob_path(folder, layer.digest);
        // An image may have a layer twice.
        if !path.exists() {
            registry.blob(layer, &path).await?;
        }
    }
    Ok(Image {
        configuration,
        layers,
    })
}
