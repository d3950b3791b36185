//! What runs on this node: partitions, software releases and instances, brought to what the master wants.
//!
//! The seam between the agent's life (identity, master, loop) and its workload. It never speaks to the master: what
//! the master shall hear leaves as `Report`s.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use camino::Utf8PathBuf;
use ipnet::Ipv6Net;
use slap::configuration::PartitionConfiguration;
use slap::{ComputerConfiguration, ComputerId};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::config::{self, Settings};
use crate::desired::{Desired, PartitionName, SoftwareUrl};
use crate::firewall::Kin;
use crate::instances::answers::Asker;
use crate::instances::credentials::Issuer;
use crate::instances::limits::Most;
use crate::instances::profile::Origin;
use crate::partitions::document;
use crate::partitions::{self, PartitionsError};
use crate::software::PublicKey;
use crate::software::buildout::Workshop;
use crate::software::installer::Installer;
use crate::systemd::{Systemd, SystemdError};
use crate::usage::Outbox;

mod converge;
mod crew;
pub(crate) mod leftovers;
mod steward;
mod watchdog;

use crew::Crew;
pub use leftovers::Heard;
use leftovers::Leftovers;
pub use steward::Steward;

/// Where things are on the node, and what its document lets partitions have of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// `/srv/slapgrid`: the partitions' directories.
    pub instances: Utf8PathBuf,
    /// `/srv/slapgrid/software`: the installed releases.
    pub software: Utf8PathBuf,
    /// `/etc`: the lists of users and groups.
    pub etc: Utf8PathBuf,
    /// `/run/slapbox`: generated files that need not outlive a boot.
    pub run: Utf8PathBuf,
    /// `/var/lib/slapbox/usage`: what partitions used.
    pub usage: Utf8PathBuf,
    /// Where other disks are mounted on which partitions have folders.
    pub homes: Vec<Utf8PathBuf>,
    /// The block devices that partitions may ask for.
    pub devices: Vec<Utf8PathBuf>,
    /// `/var/lib/slapbox/devices.json`: who has which.
    pub claims: Utf8PathBuf,
    /// `/sys/fs/cgroup`: what the kernel counts and holds.
    pub cgroups: Utf8PathBuf,
    /// Whether addresses that are routed to partitions are protected, and from whom not.
    pub firewall: Option<config::Firewall>,
    /// The network outside of which partitions have addresses.
    pub ipv4: Option<config::Ipv4>,
    /// `/var/lib/slapbox/firewall.json`: who may reach which partition.
    pub guards: Utf8PathBuf,
}

impl Paths {
    /// Returns where things are on a box with this document.
    pub fn of(settings: &Settings) -> Self {
        Self {
            homes: settings.storage.homes.clone(),
            devices: settings.storage.devices.clone(),
            firewall: settings.firewall.clone(),
            ipv4: settings.ipv4.clone(),
            ..Self::default()
        }
    }

    /// Returns the directory of a partition.
    pub fn partition(&self, partition: PartitionName) -> Utf8PathBuf {
        self.instances.join(partition.to_string())
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            instances: "/srv/slapgrid".into(),
            software: "/srv/slapgrid/software".into(),
            etc: "/etc".into(),
            run: "/run/slapbox".into(),
            usage: "/var/lib/slapbox/usage".into(),
            homes: Vec::new(),
            devices: Vec::new(),
            claims: "/var/lib/slapbox/devices.json".into(),
            cgroups: "/sys/fs/cgroup".into(),
            firewall: None,
            ipv4: None,
            guards: "/var/lib/slapbox/firewall.json".into(),
        }
    }
}

/// Chooses the client for a URL: the master's own URLs need its CA and our certificate, all others the system's roots.
#[derive(Clone)]
pub struct Fetcher {
    choose: Arc<dyn Fn(&reqwest::Url) -> reqwest::Client + Send + Sync>,
    keys: Vec<PublicKey>,
}

impl Fetcher {
    /// Asks `choose` before every download, so that a renewed certificate is used at once.
    pub fn new(choose: impl Fn(&reqwest::Url) -> reqwest::Client + Send + Sync + 'static) -> Self {
        Self {
            choose: Arc::new(choose),
            keys: Vec::new(),
        }
    }

    /// Takes from registries only what one of these keys has signed, if there are any.
    pub fn believing(self, keys: Vec<PublicKey>) -> Self {
        Self { keys, ..self }
    }

    pub(crate) fn client(&self, url: &reqwest::Url) -> reqwest::Client {
        (self.choose)(url)
    }

    pub(crate) fn keys(&self) -> &[PublicKey] {
        &self.keys
    }
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fetcher")
    }
}

/// On what terms instances are here: who their master is, and what the node gives to one.
#[derive(Clone, Debug)]
pub struct Terms {
    pub origin: Origin,
    /// Who makes their certificates, if their master knows them by such.
    pub issuer: Option<Issuer>,
    pub asker: Asker,
    /// Who says which addresses a tree has.
    pub kin: Kin,
    pub most: Most,
}

/// Tells the time of day; used for dates in files only, never for waiting.
pub type Clock = fn() -> SystemTime;

/// What the master shall hear. Each is said once per change: whoever receives it keeps the newest one per
/// software release or partition until the master took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The release is being fetched and unpacked.
    SoftwareBuilding { url: SoftwareUrl },
    /// The release is installed.
    SoftwareAvailable { url: SoftwareUrl },
    /// The release is gone from the node.
    SoftwareDestroyed { url: SoftwareUrl },
    /// The release could not be installed; it will be tried again.
    SoftwareError { url: SoftwareUrl, log: String },
    /// The instance runs and keeps its promises.
    Started { partition: PartitionName },
    /// The instance is stopped.
    Stopped { partition: PartitionName },
    /// Nothing of the instance is left: the partition is free.
    Destroyed { partition: PartitionName },
    /// The instance is not as it shall be; it will be tried again.
    InstanceError {
        partition: PartitionName,
        message: String,
    },
    /// What the instance requested of others, by title: what it does not name any more, it does not need.
    Requested {
        partition: PartitionName,
        titles: Vec<String>,
    },
    /// Something happened to the instance that its tree should be looked at for.
    Bang {
        partition: PartitionName,
        message: String,
    },
    /// What the instance publishes for those who requested it.
    Connection {
        partition: PartitionName,
        parameters: BTreeMap<String, String>,
    },
    /// What it publishes for one that shares it, by the master's reference of that.
    SharedConnection {
        partition: PartitionName,
        share: String,
        parameters: BTreeMap<String, String>,
    },
}

/// What became of `make_partitions`.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionsMade {
    /// The partitions as they are.
    pub partitions: Vec<PartitionConfiguration>,
    paths: Paths,
    prefix: Ipv6Net,
    /// What could not be made or repaired, in words; the rest was.
    pub failures: BTreeMap<PartitionName, String>,
    /// The same for addresses, routes and taps, and for disks.
    pub node_failures: Vec<String>,
    /// How many users, directories, files, addresses and taps were made, repaired or removed.
    pub changed: usize,
    /// How long it took.
    pub seconds: f64,
}

impl PartitionsMade {
    /// Returns what `loadComputerConfigurationFromXML` posts for this computer.
    pub fn configuration(&self, reference: ComputerId) -> ComputerConfiguration {
        document::computer(reference, &self.paths, self.prefix, self.partitions.clone())
    }
}

/// What a pass of `converge` came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Converged {
    /// Instances by what they are now.
    pub started: usize,
    pub stopped: usize,
    /// Partitions on their way to what is wanted, without an error so far.
    pub pending: usize,
    /// Installed releases.
    pub software: usize,
    /// What went wrong, for each partition, in words.
    pub failures: BTreeMap<PartitionName, String>,
    /// What went wrong with releases, in words.
    pub software_failures: BTreeMap<SoftwareUrl, String>,
    /// What went otherwise than hoped with releases that are there, in words.
    pub notes: Vec<(SoftwareUrl, String)>,
    /// What concerns the whole pass (systemd does not answer …).
    pub failure: Option<String>,
    /// When to come again at the latest; nothing if only a change can make a difference.
    pub next_wake: Option<Duration>,
}

/// The workload of the node.
#[derive(Debug)]
pub struct Workload {
    paths: Paths,
    systemd: Systemd,
    installer: Installer,
    crew: Crew,
    leftovers: Leftovers,
    changes: watch::Sender<u64>,
}

impl Workload {
    /// Takes what it works with; does nothing yet.
    pub fn new(paths: Paths, fetcher: Fetcher, workshop: Workshop, terms: Terms) -> Self {
        let changes = watch::Sender::new(0);
        let (systemd, clock) = (workshop.systemd.clone(), workshop.clock);
        let software = paths.software.clone();
        let installer = Installer::new(fetcher, workshop, software, changes.clone());
        Self {
            crew: Crew::new(
                paths.clone(),
                systemd.clone(),
                clock,
                terms,
                changes.clone(),
            ),
            leftovers: Leftovers::load(&paths),
            paths,
            systemd,
            installer,
            changes,
        }
    }

    /// Moves whenever something happened that a new pass of `converge` should look at: a unit of ours changed, work
    /// in the background came to its end.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Who does for root what the workload does not do by itself.
    pub fn steward(&self) -> Steward {
        Steward::of(self)
    }

    /// Where what partitions used waits for the master.
    pub fn outbox(&self) -> Outbox {
        self.crew.outbox.clone()
    }

    /// Notices changes of units, and services that end by themselves, until the connection to systemd ends, which it must not.
    pub async fn watch_units(&self, reports: &mpsc::Sender<Report>) -> Result<(), SystemdError> {
        let notice = async |unit: String| {
            watchdog::notice(&self.paths, &self.crew, &unit, reports).await;
            self.changes.send_modify(|count| *count += 1);
        };
        self.systemd.watch_units(notice).await
    }

    /// Has every promise looked at now, due or not.
    pub fn look_at_promises(&self) {
        self.crew.watches.hurry();
    }

    /// Makes users, directories, addresses, taps and `.slapos-resource` of `count` partitions under `prefix`.
    ///
    /// Idempotent; repairs what was deleted or altered; refuses fewer than are in use.
    pub async fn make_partitions(
        &self,
        count: u16,
        prefix: Ipv6Net,
    ) -> Result<PartitionsMade, PartitionsError> {
        let begin = Instant::now();
        let made = partitions::make(&self.paths, count, prefix).await?;
        self.crew.keep_resources(&made.partitions, prefix);
        Ok(PartitionsMade {
            partitions: made.partitions,
            paths: self.paths.clone(),
            prefix,
            failures: made.failures,
            node_failures: made.node_failures,
            changed: made.changed,
            seconds: begin.elapsed().as_secs_f64(),
        })
    }

    /// Takes one pass at bringing releases and instances to `desired`: looks, plans, sets the work going in the
    /// background, and reports what changed.
    ///
    /// Returns soon; when work ends, `changes` moves. One partition's failure never stops the others.
    pub async fn converge(
        &self,
        desired: &Desired,
        heard: Heard,
        reports: mpsc::Sender<Report>,
    ) -> Converged {
        converge::converge(self, desired, heard, &reports).await
    }
}

impl Report {
    /// Returns the partition that it is about, if it is about one.
    pub fn partition(&self) -> Option<PartitionName> {
        match self {
            Self::SoftwareBuilding { .. }
            | Self::SoftwareAvailable { .. }
            | Self::SoftwareDestroyed { .. }
            | Self::SoftwareError { .. } => None,
            Self::Started { partition }
            | Self::Stopped { partition }
            | Self::Destroyed { partition }
            | Self::InstanceError { partition, .. }
            | Self::Requested { partition, .. }
            | Self::Bang { partition, .. }
            | Self::Connection { partition, .. }
            | Self::SharedConnection { partition, .. } => Some(*partition),
        }
    }

    /// Returns what it is about: of two reports with the same subject the newer one counts.
    pub fn subject(&self) -> String {
        match self {
            Self::SoftwareBuilding { url }
            | Self::SoftwareAvailable { url }
            | Self::SoftwareDestroyed { url }
            | Self::SoftwareError { url, .. } => format!("software {url}"),
            Self::Started { partition }
            | Self::Stopped { partition }
            | Self::Destroyed { partition }
            | Self::InstanceError { partition, .. } => format!("instance {partition}"),
            Self::Requested { partition, .. } => format!("requests of {partition}"),
            Self::Bang { partition, .. } => format!("bang {partition}"),
            Self::Connection { partition, .. } => format!("connection {partition}"),
            Self::SharedConnection {
                partition, share, ..
            } => format!("connection {partition} {share}"),
        }
    }
}
