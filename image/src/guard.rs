//! One build at a time in a checkout: two would write the same files.

use std::fs::File;

use anyhow::{Context, Result, anyhow};
use nix::fcntl::{Flock, FlockArg};

use crate::workspace::Workspace;
use crate::{disk, progress};

/// Held while something is built; given back when dropped.
#[derive(Debug)]
pub(crate) struct Guard {
    _lock: Flock<File>,
}

impl Guard {
    /// Waits, saying so, until no other build runs in this checkout.
    pub(crate) fn take(workspace: &Workspace) -> Result<Self> {
        disk::make(&workspace.target())?;
        let path = workspace.target().join("lock");
        let open = || File::create(&path).with_context(|| format!("cannot open `{path}`"));
        let lock = match Flock::lock(open()?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err(_) => {
                progress::say("waiting for another `cargo image` in this checkout …");
                Flock::lock(open()?, FlockArg::LockExclusive)
                    .map_err(|(_, error)| anyhow!(error).context(format!("cannot lock `{path}`")))?
            }
        };
        Ok(Self { _lock: lock })
    }
}
