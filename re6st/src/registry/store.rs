//! The registry's folder: the members in one file, the authority in two. Each is replaced whole.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::members::Members;
use crate::disk::{self, Access};

/// The registry's folder.
#[derive(Debug)]
pub(super) struct Store {
    folder: Utf8PathBuf,
}

impl Store {
    /// Opens a folder, making it if it is missing.
    pub(super) fn open(folder: &Utf8Path) -> Result<Self, disk::Error> {
        let ca = folder.join("ca");
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&ca);
        made.map_err(|source| disk::Error::Write { path: ca, source })?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Returns the members, unless this is the first start.
    ///
    /// A file that does not parse is an error: to begin anew would give members the prefixes of others.
    pub(super) fn members(&self) -> Result<Option<Members>, disk::Error> {
        disk::load(&self.folder.join("members.json"))
    }

    /// Replaces the members.
    pub(super) fn save_members(&self, members: &Members) -> Result<(), disk::Error> {
        disk::save(&self.folder.join("members.json"), Access::Private, members)
    }

    /// Returns the authority's key and certificate, unless this is the first start.
    pub(super) fn authority(&self) -> Result<Option<(String, String)>, disk::Error> {
        let key = disk::read(&self.key_path())?;
        let certificate = disk::read(&self.certificate_path())?;
        Ok(key.zip(certificate))
    }

    /// Keeps the authority's key and certificate.
    pub(super) fn save_authority(&self, key: &str, certificate: &str) -> Result<(), disk::Error> {
        disk::replace(&self.key_path(), Access::Private, key.as_bytes())?;
        disk::replace(
            &self.certificate_path(),
            Access::Public,
            certificate.as_bytes(),
        )
    }

    fn key_path(&self) -> Utf8PathBuf {
        self.folder.join("ca/key.pem")
    }

    fn certificate_path(&self) -> Utf8PathBuf {
        self.folder.join("ca/certificate.pem")
    }
}
