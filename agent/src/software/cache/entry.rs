//! Whether what the cache says of a release is believed. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use slap::v1::{CACHE_VERSION, CacheEntry, CacheSystem};

use crate::desired::SoftwareUrl;
use crate::software::PublicKey;

/// An entry is not believed.
#[derive(Debug, thiserror::Error)]
pub(super) enum EntryError {
    #[error("its entry has no signature")]
    NoSignature,
    #[error("its entry is signed by nobody whose builds this box takes")]
    Stranger,
    #[error("failed to understand its entry")]
    Document(#[source] serde_json::Error),
    #[error("its entry is of version {0}, which this box does not know")]
    Version(u32),
    #[error("its entry is for another release: {0}")]
    Release(String),
    #[error("its entry is for another system: {0}")]
    System(CacheSystem),
}

/// Returns what an entry says, if one of the keys has signed it and it is for this release on this system.
pub(super) fn believed(
    bytes: &[u8],
    signature: &[u8],
    keys: &[PublicKey],
    url: &SoftwareUrl,
    system: &CacheSystem,
) -> Result<CacheEntry, EntryError> {
    let signature = STANDARD.decode(signature.trim_ascii()).unwrap_or_default();
    if !keys.iter().any(|key| key.signed(bytes, &signature)) {
        return Err(EntryError::Stranger);
    }
    let entry: CacheEntry = serde_json::from_slice(bytes).map_err(EntryError::Document)?;
    if entry.version != CACHE_VERSION {
        return Err(EntryError::Version(entry.version));
    }
    // Who may answer with another's entry could otherwise choose what this box runs.
    if entry.url != url.as_str() {
        return Err(EntryError::Release(entry.url));
    }
    if entry.system != *system {
        return Err(EntryError::System(entry.system));
    }
    Ok(entry)
}
