//! The node: fetches what the registry decided, has it realised, and says how things are.
//!
//! Two loops share a channel: one keeps the membership, the other the links. Neither ever takes links down on exit, so
//! a restart cuts nothing; without a registry the last document serves.

mod backoff;
mod client;
mod credentials;
mod detour;
mod document;
mod endpoints;
mod links;
mod machine;
mod membership;
mod near_end;
mod neighbours;
mod policy;
mod state;
mod status;
mod talk;

use std::io;

use camino::Utf8PathBuf;
use tokio::sync::watch;

use crate::disk;

pub use client::Error as ClientError;
pub use credentials::{Master, Overlay, Source};
pub use document::{Document, Facts};
pub use machine::{Ear, Linux, Machine};
pub use membership::Membership;
pub use status::{Carrier, LinkStatus, State as StatusState, Status};

/// Where a node keeps what it must not lose, and where it tells how things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Folder of the keys and the last document.
    pub state: Utf8PathBuf,
    /// Folder of `node.json` and `babeld.conf`.
    pub run: Utf8PathBuf,
    /// babeld's control socket, in a folder that goes when babeld ends.
    pub babel_socket: Utf8PathBuf,
}

/// What keeps a node from starting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its folders cannot be made.
    #[error("failed to make the node's folders")]
    Folders(#[source] io::Error),
    /// Its files cannot be used.
    #[error("failed to use the node's state")]
    State(#[source] disk::Error),
    /// Its keys cannot be made or read.
    #[error("failed to load the node's keys")]
    Keys(#[source] state::KeyError),
}

/// Keeps a node in the overlay, for ever.
pub async fn run<M: Machine>(source: Source, places: &Places, machine: M) -> Result<(), Error> {
    let state = state::State::open(&places.state)?;
    let document = state.document().map_err(Error::State)?;
    let key = state.keys().wireguard.clone();
    let (news, membership) = watch::channel(Membership {
        document,
        problem: None,
    });
    let (see, seen) = watch::channel(Vec::new());
    tokio::select! {
        () = membership::keep(&source, &state, &machine, seen, &news) => {}
        () = links::keep(&machine, &source, places, &key, membership, &see) => {}
    }
    Ok(())
}
