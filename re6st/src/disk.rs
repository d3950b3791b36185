//! Files replaced whole and synced, and versioned JSON in them.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use atomic_write_file::AtomicWriteFile;
use camino::{Utf8Path, Utf8PathBuf};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What can go wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("failed to read `{path}`")]
    Read {
        /// Which file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be replaced.
    #[error("failed to write `{path}`")]
    Write {
        /// Which file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not what we wrote.
    #[error("failed to parse `{path}`")]
    Parse {
        /// Which file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A newer program wrote it.
    #[error("`{path}` has version {version}, and this program reads version 1 only")]
    Version {
        /// Which file.
        path: Utf8PathBuf,
        /// Its version.
        version: u32,
    },
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its owner only.
    Private,
    /// Everybody.
    Public,
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    format: u32,
    #[serde(flatten)]
    fact: T,
}

/// Replaces a file whole; after a power cut there is the old one or the new one.
pub fn replace(path: &Utf8Path, access: Access, bytes: &[u8]) -> Result<(), Error> {
    let write = || {
        let mut options = AtomicWriteFile::options();
        let mode = if access == Access::Private {
            0o600
        } else {
            0o644
        };
        atomic_write_file::unix::OpenOptionsExt::preserve_mode(&mut options, false).mode(mode);
        let mut file = options.open(path)?;
        file.write_all(bytes)?;
        file.commit()
    };
    write().map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

/// Reads a file that may be missing.
pub fn read(path: &Utf8Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Replaces a file with a fact as JSON.
pub fn save<T: Serialize>(path: &Utf8Path, access: Access, fact: &T) -> Result<(), Error> {
    let parse = |source| Error::Parse {
        path: path.to_owned(),
        source,
    };
    let text = serde_json::to_vec_pretty(&Versioned { format: 1, fact }).map_err(parse)?;
    replace(path, access, &text)
}

/// Reads a fact that may be missing.
pub fn load<T: DeserializeOwned>(path: &Utf8Path) -> Result<Option<T>, Error> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let parse = |source| Error::Parse {
        path: path.to_owned(),
        source,
    };
    let Some(text) = read(path)? else {
        return Ok(None);
    };
    let Format { format: version } = serde_json::from_str(&text).map_err(parse)?;
    if version != 1 {
        return Err(Error::Version {
            path: path.to_owned(),
            version,
        });
    }
    serde_json::from_str::<Versioned<T>>(&text)
        .map(|stored| Some(stored.fact))
        .map_err(parse)
}
