//! What the node is at a moment, as plain data. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::desired::{Fingerprint, PartitionName, SoftwareUrl};
use crate::instances::answers::Told;
use crate::instances::connection::Shared;
use crate::instances::limits::Limits;
use crate::instances::retention::Retention;
use crate::software::ReleaseId;

/// What is on the node of all that the master speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    pub software: BTreeMap<SoftwareUrl, Software>,
    pub partitions: BTreeMap<PartitionName, Partition>,
    /// Releases that are there and that the master does not speak of.
    pub leftovers: BTreeMap<ReleaseId, Leftover>,
    pub collection: Collection,
}

/// A release that the master does not speak of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Whether something on the node needs it: what is in a partition, or a build.
    pub used: bool,
    /// What it is.
    pub found: Software,
    /// For how long nobody has wanted it.
    pub idle: Duration,
}

/// Which of them may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Collection {
    /// None: the master was not heard.
    #[default]
    Nothing,
    /// Those that nobody has wanted for long.
    Idle,
    /// All, as somebody asked.
    All,
}

/// What a release is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Software {
    Absent,
    Installing,
    Removing,
    Available,
    /// The last attempt to remove it, or to install it, failed; while resting there is no other of that kind.
    Failed {
        log: String,
        removing: bool,
        resting: bool,
    },
}

/// What a partition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Whether it has a user and a directory.
    pub ready: bool,
    /// Whether nothing is in its directory but what root keeps there.
    pub empty: bool,
    /// The timestamp of the last order that was carried out in full.
    pub processed: Option<String>,
    /// The last order that it was instantiated for.
    pub order: Option<Fingerprint>,
    /// The programs that it shall run since then, by what they consist of.
    pub programs: BTreeMap<ProgramName, Fingerprint>,
    /// The programs that run.
    pub units: BTreeMap<ProgramName, Unit>,
    /// The redirections that it shall have, by names that say all of them.
    pub redirects: BTreeSet<ProgramName>,
    /// The ones that are there.
    pub redirected: BTreeMap<ProgramName, UnitState>,
    /// The ways from its IPv6 to its IPv4 that it shall have, by what they consist of.
    pub bridges: BTreeMap<ProgramName, Fingerprint>,
    /// The ones that are open.
    pub open: BTreeMap<ProgramName, Unit>,
    /// When it may need other ones, without any other change.
    pub look_again: Option<Duration>,
    /// Whether its slice is there.
    pub slice: bool,
    /// What its slice holds it to, if that is known.
    pub held_to: Option<Fingerprint>,
    /// What it shall be held to.
    pub limits: Limits,
    /// Whether something runs for it that is no program: what makes it, or what watches its promises.
    pub loose_ends: bool,
    /// Whether it makes any promise.
    pub has_promises: bool,
    /// What is watched of it, if something is.
    pub watched: Option<Fingerprint>,
    pub promises: Promises,
    /// The program that ends again and again, if one does.
    pub crashing: Option<Crashing>,
    /// What it requested of others when it was last instantiated.
    pub requested: Vec<String>,
    /// What it is told of them.
    pub told: Told,
    /// What to ask the master for, if there is something to ask.
    pub asks: Option<Fingerprint>,
    /// Why not all that it requested is as it shall be.
    pub waits: Option<String>,
    /// Whether it has a certificate that will do, if its programs need one.
    pub certified: bool,
    /// Whether the folders that it has on other disks are its own by now.
    pub housed: bool,
    /// Whether the disk holds it to what it may use of it.
    pub rationed: bool,
    /// Whether it has used all of that.
    pub full: bool,
    /// Whether it has the block devices that it asks for, and no others.
    pub equipped: bool,
    /// Whether who may reach it, and whom it may reach, is as it shall be.
    pub guarded: bool,
    /// What its programs are given beside its directory: they start anew when it is something else.
    pub given: Vec<String>,
    /// What is to be kept of it when its end has come.
    pub retention: Retention,
    /// Whether something of it shall run before it is removed.
    pub takes_leave: bool,
    /// What it publishes.
    pub connection: Option<BTreeMap<String, String>>,
    /// Whether it shall be instantiated although nothing about it has changed: its time has come, or somebody asked.
    pub due: bool,
    /// What it publishes for those who share it.
    pub shared: Shared,
    /// Why the last attempt at this order failed.
    pub failure: Option<String>,
    /// Whether to wait before another attempt.
    pub resting: bool,
}

/// A program that ends again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crashing {
    pub program: ProgramName,
    /// Whether the kernel kills it for want of memory.
    pub lacks_memory: bool,
}

/// The name of a program or promise: a file name that may be part of a unit's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProgramName(String);

/// A name that cannot be part of a unit's name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` cannot be the name of a program or promise: it must be 1 to 64 letters, digits, `-`, `_` or `.`, and not begin with `.`"
)]
pub struct NotAProgramName(String);

/// A unit that runs a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    pub state: UnitState,
    /// What it was started as.
    pub fingerprint: Option<Fingerprint>,
}

/// What a unit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitState {
    /// It runs, or did all it had to.
    Running,
    /// It is being started.
    Starting,
    /// It failed, and waits to be started again.
    Restarting,
    /// It is being stopped, or failed for good.
    Ending,
}

/// What the promises of what is watched say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Promises {
    Unknown,
    Kept,
    /// One is not kept, and patience is over.
    Broken {
        message: String,
    },
}

impl ProgramName {
    /// Takes a file name that fits.
    pub fn new(name: &str) -> Result<Self, NotAProgramName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let fits =
            (1..=64).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed);
        fits.then(|| Self(name.to_owned()))
            .ok_or_else(|| NotAProgramName(name.to_owned()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ProgramName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
