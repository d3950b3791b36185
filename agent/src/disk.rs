//! The one way this program writes a file: whole and synced, so that a power cut leaves the old one or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, PermissionsExt as _,
};

use atomic_write_file::AtomicWriteFile;
use camino::{Utf8Path, Utf8PathBuf};

/// A file or folder that could not be read, written or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading.
    #[error("failed to read `{path}`")]
    Read {
        /// Which.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Writing.
    #[error("failed to write `{path}`")]
    Write {
        /// Which.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Replaces a file that anybody may read.
pub fn replace(path: &Utf8Path, content: &[u8]) -> Result<(), Error> {
    replace_with_mode(path, 0o644, |file| file.write_all(content))
}

/// Replaces a file that only its owner may read.
pub fn replace_private(path: &Utf8Path, content: &[u8]) -> Result<(), Error> {
    replace_with_mode(path, 0o600, |file| file.write_all(content))
}

/// Replaces a file that anybody may read by what is too large to be held in memory.
pub fn replace_by(
    path: &Utf8Path,
    content: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), Error> {
    replace_with_mode(path, 0o644, content)
}

/// Replaces a file that only its owner may read by what is too large to be held in memory.
pub fn replace_private_by(
    path: &Utf8Path,
    content: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), Error> {
    replace_with_mode(path, 0o600, content)
}

fn replace_with_mode(
    path: &Utf8Path,
    mode: u32,
    content: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        let mut file = AtomicWriteFile::options().open(path)?;
        file.as_file()
            .set_permissions(fs::Permissions::from_mode(mode))?;
        content(file.as_file_mut())?;
        file.commit()
    };
    write().map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

/// Reads a file; nothing if it does not exist.
pub fn read(path: &Utf8Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Reads a text; nothing if it does not exist.
pub fn read_text(path: &Utf8Path) -> Result<Option<String>, Error> {
    let bytes = read(path)?;
    bytes
        .map(String::from_utf8)
        .transpose()
        .map_err(|error| Error::Read {
            path: path.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()),
        })
}

/// Writes over the bytes where they lie, since what they held must be gone from the medium.
pub fn overwrite(path: &Utf8Path, content: &[u8]) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        file.write_all_at(content, 0)?;
        file.sync_all()
    };
    write().map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

/// Makes a folder, and those above it, that only its owner may enter.
pub fn private_folder(path: &Utf8Path) -> Result<(), Error> {
    folder(path, 0o700)
}

/// Makes a folder, and those above it, that anybody may enter.
pub fn public_folder(path: &Utf8Path) -> Result<(), Error> {
    folder(path, 0o755)
}

fn folder(path: &Utf8Path, mode: u32) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|source| Error::Write {
            path: path.to_owned(),
            source,
        })
}

/// Removes a file; one that is not there is removed already. The folder is synced.
pub fn remove(path: &Utf8Path) -> Result<(), Error> {
    let remove = || match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => match path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        },
    };
    remove().map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

/// Puts a file that does not parse aside, so that it is neither used nor lost.
pub fn set_aside(path: &Utf8Path) -> Result<Utf8PathBuf, Error> {
    let aside = Utf8PathBuf::from(format!("{path}.unreadable"));
    match fs::rename(path, &aside) {
        Ok(()) => Ok(aside),
        Err(source) => Err(Error::Write {
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        (folder, path)
    }

    #[test]
    fn a_replaced_file_is_whole_and_a_private_one_is_private() {
        let (_keep, folder) = folder();
        let path = folder.join("key.pem");
        replace_private(&path, b"one").unwrap();
        replace_private(&path, b"two").unwrap();
        assert_eq!(read_text(&path).unwrap().as_deref(), Some("two"));
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_there_is_no_error() {
        let (_keep, folder) = folder();
        assert_eq!(read(&folder.join("none")).unwrap(), None);
        remove(&folder.join("none")).unwrap();
        assert!(overwrite(&folder.join("none"), b"x").is_err());
    }

    #[test]
    fn overwriting_keeps_the_file_and_its_length() {
        let (_keep, folder) = folder();
        let path = folder.join("stick");
        replace(&path, b"join = secret\nrest").unwrap();
        overwrite(&path, b"# erased     \n").unwrap();
        assert_eq!(
            read_text(&path).unwrap().as_deref(),
            Some("# erased     \nrest")
        );
    }
}
