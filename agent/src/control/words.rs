//! What is said at the socket.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::status::Status;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// To look at once.
    Look {
        /// What the caller wants to hear about.
        what: Ask,
        /// To do again what is done already: to build releases, to process instances.
        #[serde(default)]
        force: bool,
        /// Of which releases (by URL or MD5) or partitions alone; all, if none is named.
        #[serde(default)]
        only: Vec<String>,
        /// To remove the releases, too, of which the master does not speak and that nothing on the node needs.
        #[serde(default)]
        collect: bool,
    },
    /// To remove the shared parts that no release has.
    Prune {
        /// Only to say which.
        #[serde(default)]
        dry_run: bool,
        /// Other folders of releases that may have some.
        #[serde(default)]
        more: Vec<Utf8PathBuf>,
    },
    /// To have the master process every instance of this computer again.
    Bang {
        /// Why, for the master's log.
        message: String,
    },
}

/// What the caller of a look wants to hear about: the original's node has a command for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    /// The releases.
    Software,
    /// The instances.
    Instance,
    /// Their promises.
    Promise,
    /// What is destroyed and reported.
    Report,
    /// The partitions.
    Format,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The exit status of whoever asked, as the original's node has it.
    pub status: u8,
    /// In words.
    pub message: String,
}

/// One line for the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Said {
    /// How far it is.
    Progress(String),
    /// The last line.
    Outcome(Outcome),
}

/// Exit statuses of the original's node, and one of our own command.
pub(super) mod status {
    /// All is as it should be.
    pub(crate) const DONE: u8 = 0;
    /// Something is not.
    pub(crate) const FAILED: u8 = 1;
    /// Nothing but promises is not; of the partitions: the master was not told.
    pub(crate) const PARTLY: u8 = 2;
    /// The master does not answer: what was known goes on.
    pub(crate) const OFFLINE: u8 = 3;
    /// Somebody else has asked.
    pub(crate) const BUSY: u8 = 10;
    /// The request is not understood.
    pub(crate) const MISTYPED: u8 = 64;
    /// Shared parts cannot be removed, since a release is being built.
    pub(crate) const BUILDING: u8 = 255;
}

impl Outcome {
    pub(super) fn new(status: u8, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, message }
    }
}

/// Whether the word on a release is not the last one.
pub(super) fn is_on_its_way(word: &str) -> bool {
    matches!(word, "wanted" | "installing")
}

/// Says how far everything is.
pub(super) fn progress(now: &Status) -> String {
    let words = now.software.values().copied();
    let done = words.filter(|word| !is_on_its_way(word)).count();
    let instances = &now.instances;
    format!(
        "{done} of {} releases are done; instances: {} started, {} stopped, {} on their way",
        now.software.len(),
        instances.started,
        instances.stopped,
        instances.pending
    )
}
