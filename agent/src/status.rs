//! How the box is, as plain data: written by those who do the work, read by the screen, by systemd and by people
//! (`/run/slapbox/status.json`). Holds no secret but the operator's login line, which only the screen shows.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::Ipv6Net;
use serde::Serialize;
use tokio::sync::watch;

use crate::disk;
use crate::places::Places;

/// Everything that the screen shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Status {
    /// The version of the image.
    pub version: String,
    /// What people call the box.
    pub name: String,
    /// `node` or `master`, once it is known.
    pub role: Option<&'static str>,
    /// The comparison code of the box's key.
    pub code: Option<String>,
    /// Addresses of its interfaces, the overlay's apart.
    pub addresses: Vec<IpAddr>,
    /// Where its master is.
    pub masters: Vec<String>,
    /// How far it is.
    pub enrolment: Enrolment,
    /// What a person should know beside that: a document that was not taken, a token that could not be erased.
    pub notices: Vec<String>,
    /// The overlay.
    pub overlay: Overlay,
    /// The partitions.
    pub partitions: Partitions,
    /// The releases.
    pub software: Releases,
    /// The instances.
    pub instances: Instances,
    /// What is not as it should be.
    pub failures: Vec<Failure>,
    /// What is wrong with what the partitions say that they used, or with the master's taking it.
    pub usage_failures: Vec<Failure>,
    /// When the master last answered, in seconds since 1970.
    pub last_contact: Option<i64>,
    /// Why the master does not answer, if it does not.
    pub master_away: Option<String>,
    /// How the operator of a new master logs in.
    #[serde(skip)]
    pub login: Option<LoginLine>,
}

impl Status {
    /// Everything that is not as it should be.
    pub fn all_failures(&self) -> impl Iterator<Item = &Failure> {
        self.failures.iter().chain(&self.usage_failures)
    }
}

/// A line with a token in it; `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginLine(pub String);

impl std::fmt::Debug for LoginLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoginLine(…)")
    }
}

/// How far the box is on its way into the cloud.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Enrolment {
    /// Nothing has happened yet.
    #[default]
    Starting,
    /// There is no document, or no good one.
    Unconfigured {
        /// What is wrong with the one there is.
        reason: Option<String>,
    },
    /// The master role is being set up.
    Preparing {
        /// What is awaited.
        reason: String,
    },
    /// The master is being asked.
    Enrolling {
        /// Why it has not succeeded so far.
        reason: Option<String>,
    },
    /// An operator must approve.
    Pending,
    /// The master does not want the token.
    Refused {
        /// In its words.
        reason: String,
    },
    /// The box has its identity.
    Enrolled {
        /// `COMP-2`.
        reference: String,
    },
    /// The master has taken the identity back.
    Revoked {
        /// What it was.
        reference: String,
        /// In the master's words.
        reason: String,
    },
}

/// The overlay as the node's daemon tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Overlay {
    /// `connected`, `connecting`, or nothing while the daemon has said nothing.
    pub state: String,
    /// Why, in words.
    pub reason: String,
    /// The node's prefix.
    pub prefix: Option<Ipv6Net>,
    /// The node's own address.
    pub address: Option<Ipv6Addr>,
    /// Peers with a link that is up.
    pub links: usize,
}

/// The partitions.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Partitions {
    /// As many as the document says.
    pub wanted: u16,
    /// As many as are made.
    pub ready: u16,
    /// As many as have an instance.
    pub used: usize,
    /// How long the last making took.
    pub seconds: f64,
}

/// Releases by URL, with one word on each.
pub type Releases = BTreeMap<String, &'static str>;

/// Instances by state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Instances {
    /// Run and keep their promises.
    pub started: usize,
    /// Are stopped.
    pub stopped: usize,
    /// On their way.
    pub pending: usize,
}

/// The part of a pass that a failure belongs to: each pass replaces its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// What was kept from before the last restart.
    Kept,
    /// What the master wants.
    Fetch,
    /// Making the partitions.
    Partitions,
    /// Telling the master of them.
    Announce,
    /// Releases and instances.
    Converge,
    /// Taking what others built, and offering what was built here: the releases are there all the same.
    Cache,
    /// What partitions used.
    Usage,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What was being done.
    pub part: Part,
    /// The partition or release it is about, if one.
    pub subject: Option<String>,
    /// In words.
    pub message: String,
}

/// The status on its way from those who write it to those who read it.
#[derive(Debug, Clone)]
pub struct Board {
    status: watch::Sender<Status>,
    looks: watch::Sender<Looks>,
}

/// How often the loop has looked at everything: at what the master wants, the partitions and the workload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looks {
    /// As often as it has begun to.
    pub begun: u64,
    /// As often as it has come to the end.
    pub ended: u64,
}

impl Board {
    /// A board with a first status.
    pub fn new(status: Status) -> Self {
        Self {
            status: watch::Sender::new(status),
            looks: watch::Sender::new(Looks::default()),
        }
    }

    /// Changes the status; readers wake only if it differs afterwards.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            *status != before
        });
    }

    /// The status.
    pub fn now(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Follows the status.
    pub fn follow(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Notes that the loop begins to look at everything.
    pub fn look_begins(&self) {
        self.looks.send_modify(|looks| looks.begun += 1);
    }

    /// Notes that the status says what that look has found.
    pub fn look_ends(&self) {
        self.looks.send_modify(|looks| looks.ended = looks.begun);
    }

    /// Follows the looks.
    pub fn follow_looks(&self) -> watch::Receiver<Looks> {
        self.looks.subscribe()
    }
}

impl Enrolment {
    /// The state in words, as the screen says it.
    pub fn words(&self) -> String {
        match self {
            Self::Starting => "starting".to_owned(),
            Self::Unconfigured { .. } => "waiting for a configuration".to_owned(),
            Self::Preparing { .. } => "preparing the master".to_owned(),
            Self::Enrolling { .. } => "enrolling".to_owned(),
            Self::Pending => "waiting for approval".to_owned(),
            Self::Refused { .. } => "refused".to_owned(),
            Self::Enrolled { reference } => format!("enrolled as {reference}"),
            Self::Revoked { reference, .. } => format!("revoked, was {reference}"),
        }
    }

    /// Why, in words.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Unconfigured { reason } | Self::Enrolling { reason } => reason.as_deref(),
            Self::Preparing { reason }
            | Self::Refused { reason }
            | Self::Revoked { reason, .. } => Some(reason),
            Self::Pending => Some("an operator must approve this box: compare the code first"),
            Self::Starting | Self::Enrolled { .. } => None,
        }
    }
}

/// Writes `status.json` for people and programs of this box whenever it changes.
pub async fn publish(places: &Places, mut status: watch::Receiver<Status>) {
    let path = places.run().join("status.json");
    loop {
        let json = serde_json::to_vec_pretty(&*status.borrow_and_update());
        let written = match json {
            Ok(json) => disk::replace(&path, &json).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = written {
            tracing::debug!("the status cannot be written: {error}");
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        if status.changed().await.is_err() {
            return;
        }
    }
}
