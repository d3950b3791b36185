//! Who this box is: a key made here and never sent, the certificate and CA that the master gave, and where the master is.
//! Lies in one folder; the certificate is written last, so that what is there is whole.

mod certificate;
mod inventory;
mod key;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use slap::join::CaPin;

use crate::disk;

pub use certificate::{Certificate, CertificateError, ca_pins};
pub use inventory::{inventory, memory};
pub use key::{Key, KeyError, load_or_make_key};

/// What an enrolled box is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its key.
    pub key: Key,
    /// Its certificate.
    pub certificate: Certificate,
    /// The CA of its master, in PEM; before the one that it follows, if there is one.
    pub ca: String,
    /// The keys of these CAs.
    pub pins: Vec<CaPin>,
    /// Where the master is and how the master calls the box.
    pub master: MasterFile,
}

/// `master.json`: what programs of this box need to know to call the master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterFile {
    /// Addresses of the master.
    pub urls: Vec<String>,
    /// `COMP-2`.
    pub reference: String,
    /// The box's end of the overlay.
    pub overlay: OverlayFile,
    /// Proxy for outgoing https.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
}

/// The part of `master.json` about the overlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayFile {
    /// UDP port of WireGuard.
    pub port: u16,
    /// Where others reach it, if they do.
    pub endpoint: Option<String>,
}

/// What keeps an identity from being read or kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// The key.
    #[error("the key of this box cannot be used")]
    Key(#[source] KeyError),
    /// The certificate.
    #[error("the certificate of this box cannot be used")]
    Certificate(#[source] CertificateError),
    /// The CA's certificate.
    #[error("the master's CA certificate cannot be used")]
    Ca(#[source] CertificateError),
    /// `master.json`.
    #[error("master.json cannot be read")]
    Master(#[source] serde_json::Error),
    /// The two do not belong together.
    #[error("the certificate is for another key")]
    OtherKey,
    /// A part is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
}

const KEY: &str = "key.pem";
const CERTIFICATE: &str = "certificate.pem";
const CA: &str = "ca.pem";
const MASTER: &str = "master.json";

/// Reads the identity; nothing if the box has not enrolled.
pub fn load(folder: &Utf8Path) -> Result<Option<Identity>, Error> {
    let Some(certificate) = disk::read_text(&folder.join(CERTIFICATE))? else {
        return Ok(None);
    };
    let part =
        |name: &'static str| disk::read_text(&folder.join(name))?.ok_or(Error::Missing(name));
    let key = Key::parse(&part(KEY)?).map_err(Error::Key)?;
    let master = serde_json::from_str(&part(MASTER)?).map_err(Error::Master)?;
    assemble(key, certificate, part(CA)?, master).map(Some)
}

/// Makes an identity of its parts, if they belong together.
pub fn assemble(
    key: Key,
    certificate: String,
    ca: String,
    master: MasterFile,
) -> Result<Identity, Error> {
    let certificate = Certificate::parse(certificate).map_err(Error::Certificate)?;
    if certificate.public_key != key.public_key() {
        return Err(Error::OtherKey);
    }
    let pins = ca_pins(&ca).map_err(Error::Ca)?;
    Ok(Identity {
        key,
        certificate,
        ca,
        pins,
        master,
    })
}

/// Keeps an identity. Its key is kept already.
pub fn store(folder: &Utf8Path, identity: &Identity) -> Result<(), Error> {
    store_master(folder, &identity.master)?;
    disk::replace(&folder.join(CA), identity.ca.as_bytes())?;
    disk::replace(
        &folder.join(CERTIFICATE),
        identity.certificate.pem.as_bytes(),
    )?;
    Ok(())
}

/// Keeps where the master is.
pub fn store_master(folder: &Utf8Path, master: &MasterFile) -> Result<(), Error> {
    let json = serde_json::to_vec_pretty(master).map_err(Error::Master)?;
    Ok(disk::replace(&folder.join(MASTER), &json)?)
}

/// Puts a certificate that cannot be used aside; the box then enrols again with its key.
pub fn set_aside(folder: &Utf8Path) -> Result<(), Error> {
    disk::set_aside(&folder.join(CERTIFICATE))?;
    Ok(())
}

#[cfg(test)]
mod tests;
