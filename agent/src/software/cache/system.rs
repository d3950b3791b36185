//! What a built release runs on: it works where everything that it was built against, and its own place, are the same.

use std::fs;

use camino::Utf8Path;
use sha2::{Digest as _, Sha256};
use slap::v1::{CACHE_VERSION, CacheSystem};

use crate::desired::SoftwareUrl;
use crate::software::{SoftwareError, directory, disk_error, image, oci};

/// Returns the system of what is built in the builder that is installed from this URL.
///
/// A builder is known by its image's configuration, which has the digests of all its layers, and not by its URL. A release has
/// absolute paths of its own in it: the folder of all releases counts as well.
pub(super) fn of(software: &Utf8Path, builder: &SoftwareUrl) -> Result<CacheSystem, SoftwareError> {
    let path = directory(software, builder).join(oci::CONFIGURATION);
    let builder = fs::read(&path).map_err(|source| disk_error(&path, source))?;
    let mut digest = Sha256::new();
    digest.update(format!("slapbox cache {CACHE_VERSION}\n{software}\n"));
    digest.update(builder);
    let digest = digest.finalize();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let system = format!("{}-{hex}", image::own_architecture());
    Ok(system
        .parse()
        .expect("an architecture and a digest are a name"))
}
