//! An OCI layout in a tar archive: where its blobs are, and whether they are what their digests say.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::tar_stream::{Kind, TarStream};

/// The most a JSON document of a layout may have.
const LONGEST_DOCUMENT: u64 = 4 * 1024 * 1024;
/// The most blobs that a layout may have.
const MOST_BLOBS: usize = 4096;
const BUFFER: usize = 64 * 1024;

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("failed to read it as a tar archive")]
    Read(#[source] io::Error),
    #[error("failed to read what was fetched")]
    Fetched(#[source] io::Error),
    #[error("it is not an OCI layout archive: it has no `{0}`")]
    NotALayout(&'static str),
    #[error("it has more than {MOST_BLOBS} blobs")]
    TooManyBlobs,
    #[error("it names the blob {0}, which it does not have")]
    Missing(Digest),
    #[error("the blob {digest} has {found} bytes, but is announced with {announced}")]
    Size {
        digest: Digest,
        announced: u64,
        found: u64,
    },
    #[error("the content of the blob {announced} has another digest: {found}")]
    Digest { announced: Digest, found: Digest },
    #[error("the document {digest} has {size} bytes, which is too long")]
    TooLong { digest: Digest, size: u64 },
    #[error("failed to understand its {what}")]
    Document {
        what: &'static str,
        #[source]
        source: serde_json::Error,
    },
    #[error("it has no image for {wanted} (it has: {has})")]
    NoPlatform { wanted: String, has: String },
}

/// The SHA-256 of a blob.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Digest([u8; 32]);

/// What a document says of a blob.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) digest: Digest,
    pub(super) size: u64,
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) platform: Option<Platform>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Platform {
    pub(super) os: String,
    pub(super) architecture: String,
}

impl Platform {
    /// Returns whether it is Linux on such a machine.
    pub(super) fn is(&self, architecture: &str) -> bool {
        self.os == "linux" && self.architecture == architecture
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}

/// An archive whose blobs were found; not verified before they are asked for.
pub(super) struct Archive {
    file: File,
    blobs: BTreeMap<Digest, Span>,
    pub(super) index: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Span {
    position: u64,
    size: u64,
}

impl Archive {
    /// Looks through a plain tar archive.
    pub(super) fn open(file: File) -> Result<Self, ArchiveError> {
        let mut blobs = BTreeMap::new();
        let mut index = None;
        let mut layout = false;
        let whole = Section::whole(&file).map_err(ArchiveError::Read)?;
        let mut tar = TarStream::new(io::BufReader::with_capacity(BUFFER, whole));
        while let Some(entry) = tar.next_entry().map_err(ArchiveError::Read)? {
            let path = entry.path.strip_prefix(b"./").unwrap_or(&entry.path);
            if entry.kind != Kind::File {
                continue;
            }
            if path == b"oci-layout" {
                layout = true;
            } else if path == b"index.json" {
                let mut text = Vec::new();
                let mut limited = (&mut tar).take(LONGEST_DOCUMENT);
                limited.read_to_end(&mut text).map_err(ArchiveError::Read)?;
                index = Some(text);
            } else if let Some(digest) = Digest::of_path(path) {
                let span = Span {
                    position: entry.position,
                    size: entry.size,
                };
                blobs.insert(digest, span);
                if blobs.len() > MOST_BLOBS {
                    return Err(ArchiveError::TooManyBlobs);
                }
            }
        }
        drop(tar);
        if !layout {
            return Err(ArchiveError::NotALayout("oci-layout"));
        }
        let index = index.ok_or(ArchiveError::NotALayout("index.json"))?;
        Ok(Self { file, blobs, index })
    }

    /// Returns a blob's content after its size and digest were found to be right.
    pub(super) fn blob<'a>(
        &'a self,
        descriptor: &Descriptor,
    ) -> Result<impl Read + use<'a>, ArchiveError> {
        let announced = descriptor.digest;
        let span = self
            .blobs
            .get(&announced)
            .ok_or(ArchiveError::Missing(announced))?;
        if span.size != descriptor.size {
            return Err(ArchiveError::Size {
                digest: announced,
                announced: descriptor.size,
                found: span.size,
            });
        }
        let found = digest(self.section(*span)).map_err(ArchiveError::Read)?;
        if found != announced {
            return Err(ArchiveError::Digest { announced, found });
        }
        Ok(self.section(*span))
    }

    /// Returns a document's text, verified.
    pub(super) fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>, ArchiveError> {
        descriptor.check_document()?;
        let mut text = Vec::new();
        let mut blob = self.blob(descriptor)?;
        blob.read_to_end(&mut text).map_err(ArchiveError::Read)?;
        Ok(text)
    }

    fn section(&self, span: Span) -> Section<'_> {
        Section {
            file: &self.file,
            position: span.position,
            end: span.position + span.size,
        }
    }
}

impl Descriptor {
    /// Says whether it is not too long for a document.
    pub(super) fn check_document(&self) -> Result<(), ArchiveError> {
        let Self { digest, size, .. } = *self;
        if size > LONGEST_DOCUMENT {
            return Err(ArchiveError::TooLong { digest, size });
        }
        Ok(())
    }
}

/// Returns where a blob lies that was fetched alone into a folder.
pub(super) fn blob_path(folder: &Utf8Path, digest: Digest) -> Utf8PathBuf {
    folder.join(digest.to_string())
}

/// Opens a blob that was fetched alone, after its size and digest were found to be right.
pub(super) fn open_blob(folder: &Utf8Path, wanted: &Descriptor) -> Result<File, ArchiveError> {
    let open = || File::open(blob_path(folder, wanted.digest));
    let size = open()
        .and_then(|file| file.metadata())
        .map_err(ArchiveError::Fetched)?
        .len();
    if size != wanted.size {
        return Err(ArchiveError::Size {
            digest: wanted.digest,
            announced: wanted.size,
            found: size,
        });
    }
    let found = open().and_then(digest).map_err(ArchiveError::Fetched)?;
    if found != wanted.digest {
        let announced = wanted.digest;
        return Err(ArchiveError::Digest { announced, found });
    }
    open().map_err(ArchiveError::Fetched)
}

/// Reads a document that was fetched alone.
pub(super) fn read(folder: &Utf8Path, wanted: &Descriptor) -> Result<Vec<u8>, ArchiveError> {
    wanted.check_document()?;
    let mut text = Vec::new();
    let mut blob = open_blob(folder, wanted)?;
    blob.read_to_end(&mut text).map_err(ArchiveError::Fetched)?;
    Ok(text)
}

/// Says whether a text has a digest.
pub(super) fn check(text: &[u8], announced: Digest) -> Result<(), ArchiveError> {
    let found = digest_of(text);
    if found != announced {
        return Err(ArchiveError::Digest { announced, found });
    }
    Ok(())
}

/// Returns the digest of a text.
pub(super) fn digest_of(text: &[u8]) -> Digest {
    Digest(Sha256::digest(text).into())
}

impl Digest {
    fn of_path(path: &[u8]) -> Option<Self> {
        let hex = path.strip_prefix(b"blobs/sha256/")?;
        Self::parse(std::str::from_utf8(hex).ok()?)
    }

    fn parse(hex: &str) -> Option<Self> {
        let mut digest = [0; 32];
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        for (at, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(Self(digest))
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let hex = text.strip_prefix("sha256:");
        hex.and_then(Self::parse)
            .ok_or_else(|| format!("`{text}` is not a SHA-256 digest"))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn digest(mut content: impl Read) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(Digest(hasher.finalize().into())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// A part of a file, with a place of its own to read from.
struct Section<'a> {
    file: &'a File,
    position: u64,
    end: u64,
}

impl<'a> Section<'a> {
    fn whole(file: &'a File) -> io::Result<Self> {
        Ok(Self {
            file,
            position: 0,
            end: file.metadata()?.len(),
        })
    }
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let count = self.file.read_at(&mut buffer[..wanted], self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}
