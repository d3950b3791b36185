//! Who the node is for its master, and where that is: files that somebody else keeps, read anew for each attempt.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use slap::client::Identity;

use super::client::{Client, Error as ClientError};
use crate::disk;
use crate::reference::Reference;

/// `master.json`; what is unknown in it is for others.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Master {
    /// Addresses of the master.
    pub urls: Vec<String>,
    /// How the master calls this computer.
    pub reference: Reference,
    /// This computer's end of the overlay.
    pub overlay: Overlay,
    /// The HTTP proxy that leads to the master, if one does.
    #[serde(default)]
    pub proxy: Option<String>,
}

/// A computer's end of the overlay.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Overlay {
    /// UDP port of WireGuard.
    pub port: u16,
    /// `host:port` at which others reach it, if it is told.
    #[serde(default)]
    pub endpoint: Option<String>,
}

/// Where the registry is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Through a master, with the identity of this folder.
    Identity(Utf8PathBuf),
    /// On this machine, without a master.
    Socket {
        /// The registry's socket.
        socket: Utf8PathBuf,
        /// Who this computer is; its URLs tell where the hub is.
        master: Master,
    },
}

/// What keeps the node from calling its registry.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// A file of the identity cannot be read.
    #[error("failed to read the identity")]
    Read(#[source] disk::Error),
    /// A file of the identity is not there.
    #[error("the identity lacks `{0}`")]
    Missing(Utf8PathBuf),
    /// `master.json` is not what it should be.
    #[error("failed to parse `master.json`")]
    Parse(#[source] serde_json::Error),
    /// It names no master.
    #[error("`master.json` names no URL")]
    NoUrl,
    /// No client can be made of it.
    #[error("failed to prepare calls to the registry")]
    Client(#[source] ClientError),
}

/// A registry to call, and who calls.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) client: Client,
    pub(super) master: Master,
    /// The master's URL that is used this time.
    pub(super) url: String,
    way: Way,
}

/// All that a client is made of.
#[derive(PartialEq, Eq)]
enum Way {
    Master {
        url: String,
        ca: String,
        identity: Identity,
        proxy: Option<String>,
    },
    Socket(Utf8PathBuf, Reference),
}

impl Source {
    /// Reads the credentials and prepares calls; each attempt takes the next of the master's URLs.
    ///
    /// The client of `last` and its connection are used again as long as what they were made of is the same.
    pub(super) fn open(&self, attempt: usize, last: Option<Registry>) -> Result<Registry, Error> {
        let master = match self {
            Self::Identity(folder) => serde_json::from_str(&required(&folder.join("master.json"))?)
                .map_err(Error::Parse)?,
            Self::Socket { master, .. } => master.clone(),
        };
        let Master {
            urls, reference, ..
        } = &master;
        let url = urls
            .get(attempt % urls.len().max(1))
            .ok_or(Error::NoUrl)?
            .clone();
        let way = match self {
            Self::Identity(folder) => {
                let read = |name| required(&folder.join(name));
                let identity = Identity {
                    certificate_pem: read("certificate.pem")?,
                    key_pem: read("key.pem")?,
                };
                Way::Master {
                    url: url.clone(),
                    ca: read("ca.pem")?,
                    identity,
                    proxy: master.proxy.clone(),
                }
            }
            Self::Socket { socket, .. } => Way::Socket(socket.clone(), reference.clone()),
        };
        let client = match last.filter(|last| last.way == way) {
            Some(last) => last.client,
            None => way.client().map_err(Error::Client)?,
        };
        Ok(Registry {
            client,
            master,
            url,
            way,
        })
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The identity holds the computer's key.
            Self::Master { url, .. } => f
                .debug_struct("Master")
                .field("url", url)
                .finish_non_exhaustive(),
            Self::Socket(socket, reference) => f
                .debug_tuple("Socket")
                .field(socket)
                .field(reference)
                .finish(),
        }
    }
}

impl Way {
    fn client(&self) -> Result<Client, ClientError> {
        match self {
            Self::Master {
                url,
                ca,
                identity,
                proxy,
            } => Client::through_master(url, ca, identity, proxy.as_deref()),
            Self::Socket(socket, reference) => Client::on_socket(socket, reference),
        }
    }
}

fn required(path: &Utf8Path) -> Result<String, Error> {
    disk::read(path)
        .map_err(Error::Read)?
        .ok_or_else(|| Error::Missing(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_put_into_the_file_does_not_matter() {
        let text = r#"{"urls":["https://a"],"reference":"COMP-2","overlay":{"port":6326,"endpoint":null},"later":"x"}"#;
        let master: Master = serde_json::from_str(text).unwrap();
        assert_eq!(master.reference.as_str(), "COMP-2");
        assert_eq!(
            master.overlay,
            Overlay {
                port: 6326,
                endpoint: None
            }
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::Identity(folder.path().to_path_buf().try_into().unwrap());
        let err = source.open(0, None).unwrap_err();
        assert!(err.to_string().ends_with("master.json`"), "{err}");
    }
}
