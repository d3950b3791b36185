//! The binary cache of releases: what one node built, for others of the same system. The same files lie at a master, under
//! `/v1/cache/`, and at any static server: `SYSTEM/NAME.json`, `SYSTEM/NAME.json.sig` and `SYSTEM/SHA256.tar.zst`.

use std::fmt;
use std::str::FromStr;

use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use crate::id::ComputerId;

/// The version of [`CacheEntry`], and of what is in an archive.
pub const CACHE_VERSION: u32 = 1;
/// The longest that an entry may be, in bytes.
pub const CACHE_ENTRY_MAX_BYTES: usize = 16 * 1024;
/// The longest that a signature may be, in bytes of its base64 text.
pub const CACHE_SIGNATURE_MAX_BYTES: usize = 256;
/// The header of `PUT /v1/cache/SYSTEM/SHA256.tar.zst` with the entry's bytes, in base64.
pub const CACHE_ENTRY_HEADER: &str = "slapbox-cache-entry";
/// The header with the entry's signature, in base64.
pub const CACHE_SIGNATURE_HEADER: &str = "slapbox-cache-signature";

/// What is said of a built release; the bytes that are signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheEntry {
    /// 1.
    pub version: u32,
    /// The release.
    pub url: String,
    /// What it was built for.
    pub system: CacheSystem,
    /// Of the archive.
    pub sha256: Sha256Hex,
    /// How many bytes the archive has.
    pub size: u64,
    /// When it was built, in seconds since 1970.
    #[serde(default)]
    pub made_at: i64,
    /// The computer that built it.
    #[serde(default)]
    pub made_by: String,
}

impl CacheEntry {
    /// Returns the name that its URL has in the cache.
    pub fn name(&self) -> CacheName {
        CacheName::of(&self.url)
    }
}

/// What a release is built for, and runs on: architecture, builder and layout. 1 to 128 of `A-Za-z0-9._-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CacheSystem(String);

/// A release's name in the cache: the MD5 of its URL, as its directory is called on a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CacheName(String);

/// A SHA-256 in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256Hex(String);

/// A file of the cache, below its system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheFile {
    /// `NAME.json`
    Entry(CacheName),
    /// `NAME.json.sig`: in base64 the signature of the entry's bytes, ECDSA on P-256 with SHA-256, as `cosign sign-blob` writes it.
    Signature(CacheName),
    /// `SHA256.tar.zst`
    Archive(Sha256Hex),
}

/// A text that names nothing of the cache.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names nothing of the cache")]
pub struct NotOfTheCache(String);

/// `PUT /v1/cache/key`: the public key, in PEM, by which a computer signs what it built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheKey {
    /// `-----BEGIN PUBLIC KEY-----` …
    pub key: String,
}

/// `GET /v1/cache/keys`: whose builds the computers of the caller's project may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheKeys {
    /// Sorted by computer.
    pub keys: Vec<TrustedKey>,
}

/// The key of a computer whose builds may be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedKey {
    /// Whose.
    pub computer: ComputerId,
    /// In PEM.
    pub key: String,
}

impl CacheName {
    /// Returns the name of a release.
    pub fn of(url: &str) -> Self {
        Self(hex(&Md5::digest(url)))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl CacheSystem {
    /// Returns it as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Sha256Hex {
    /// Returns the digest as text.
    pub fn of(digest: [u8; 32]) -> Self {
        Self(hex(&digest))
    }

    /// Returns it as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_hex(text: &str, length: usize) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == length && text.bytes().all(is_digit)
}

impl FromStr for CacheSystem {
    type Err = NotOfTheCache;

    fn from_str(text: &str) -> Result<Self, NotOfTheCache> {
        let is_right = text.len() <= 128
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        is_right
            .then(|| Self(text.to_owned()))
            .ok_or_else(|| NotOfTheCache(text.to_owned()))
    }
}

impl FromStr for Sha256Hex {
    type Err = NotOfTheCache;

    fn from_str(text: &str) -> Result<Self, NotOfTheCache> {
        is_hex(text, 64)
            .then(|| Self(text.to_owned()))
            .ok_or_else(|| NotOfTheCache(text.to_owned()))
    }
}

impl FromStr for CacheFile {
    type Err = NotOfTheCache;

    fn from_str(text: &str) -> Result<Self, NotOfTheCache> {
        let name = |end: &str| {
            let name = text.strip_suffix(end).filter(|name| is_hex(name, 32));
            name.map(|name| CacheName(name.to_owned()))
        };
        if let Some(name) = name(".json") {
            Ok(Self::Entry(name))
        } else if let Some(name) = name(".json.sig") {
            Ok(Self::Signature(name))
        } else {
            let digest = text.strip_suffix(".tar.zst").map(str::parse);
            match digest {
                Some(Ok(digest)) => Ok(Self::Archive(digest)),
                Some(Err(_)) | None => Err(NotOfTheCache(text.to_owned())),
            }
        }
    }
}

impl fmt::Display for CacheFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(name) => write!(f, "{}.json", name.0),
            Self::Signature(name) => write!(f, "{}.json.sig", name.0),
            Self::Archive(digest) => write!(f, "{}.tar.zst", digest.0),
        }
    }
}

impl fmt::Display for CacheSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for CacheSystem {
    type Error = NotOfTheCache;

    fn try_from(text: String) -> Result<Self, NotOfTheCache> {
        text.parse()
    }
}

impl TryFrom<String> for Sha256Hex {
    type Error = NotOfTheCache;

    fn try_from(text: String) -> Result<Self, NotOfTheCache> {
        text.parse()
    }
}

impl From<CacheSystem> for String {
    fn from(system: CacheSystem) -> Self {
        system.0
    }
}

impl From<Sha256Hex> for String {
    fn from(digest: Sha256Hex) -> Self {
        digest.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_cache_is_named_as_it_is_written() {
        let name = CacheName::of("https://x/software.cfg");
        assert_eq!(name.as_str().len(), 32);
        let digest = Sha256Hex::of([7; 32]);
        for file in [
            CacheFile::Entry(name.clone()),
            CacheFile::Signature(name),
            CacheFile::Archive(digest),
        ] {
            assert_eq!(file.to_string().parse(), Ok(file));
        }
    }

    #[test]
    fn nothing_of_the_cache_is_named_as_a_path() {
        let upper = format!("{}.tar.zst", "A".repeat(64));
        let short = format!("{}.json", "a".repeat(31));
        for bad in ["", "..", "../x.json", ".json", "x.tar.zst", &upper, &short] {
            assert!(bad.parse::<CacheFile>().is_err(), "{bad:?}");
        }
        for bad in ["", "..", ".x", "a/b", "a b", &"x".repeat(129)] {
            assert!(bad.parse::<CacheSystem>().is_err(), "{bad:?}");
        }
    }
}
