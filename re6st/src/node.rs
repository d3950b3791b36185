//! The node: fetches what the registry decided, has it realised, and says how things are.
//!
//! Loops share channels: one keeps the membership, others the links and the names, and one tells of the links. None of them ever takes links down on exit, so
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
mod metrics;
mod names;
mod near_end;
mod neighbours;
mod policy;
mod report;
mod state;
mod status;
mod talk;

use std::io;
use std::net::SocketAddr;

use camino::Utf8PathBuf;
use tokio::sync::watch;

use crate::disk;

pub use client::Error as ClientError;
pub use credentials::{Master, Overlay, Source};
pub use document::{Document, Facts};
pub use machine::{Ear, Linux, Machine};
pub use membership::Membership;
pub use status::{Carrier, LinkStatus, LinkWay, NoLink, State as StatusState, Status};

/// Where a node keeps what it must not lose, and where it tells how things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Folder of the keys and the last document.
    pub state: Utf8PathBuf,
    /// Folder of `node.json`, `metrics.prom` and `babeld.conf`.
    pub run: Utf8PathBuf,
    /// babeld's control socket, in a folder that goes when babeld ends.
    pub babel_socket: Utf8PathBuf,
    /// Where names are answered.
    pub names: SocketAddr,
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
    let counts = names::Counts::default();
    let (told, report) = watch::channel(None);
    let said = links::Said {
        counts: &counts,
        told: &told,
        seen: &see,
    };
    tokio::select! {
        () = membership::keep(&source, &state, &machine, seen, &news) => {}
        () = names::keep(places, &counts, membership.clone()) => {}
        () = report::keep(&source, report) => {}
        () = links::keep(&machine, &source, places, &key, membership, &said) => {}
    }
    Ok(())
}
