//! Fills `Observed` from systemd, the disk and what is remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::SystemTime;

use camino::Utf8PathBuf;
use ipnet::Ipv6Net;
use tokio::time::Instant;

use crate::clock::unix_seconds;
use crate::desired::{Fingerprint, Instance, PartitionName};
use crate::devices::{self, DeviceError, Devices};
use crate::firewall::{self, Wishes};
use crate::inside::Inside;
use crate::instances::answers::{Requested, Told};
use crate::instances::bridges;
use crate::instances::confinement::fingerprint_of;
use crate::instances::connection::{self, ConnectionError};
use crate::instances::container::{self, reach};
use crate::instances::credentials;
use crate::instances::limits::{Limits, LimitsError, Most};
use crate::instances::programs::{self, Found, ProgramsError};
use crate::instances::redirect::{self, RedirectError};
use crate::instances::retention::{self, Retention};
use crate::instances::units::UnitName;
use crate::memory::{Remembered, goal};
use crate::observed::{Partition, ProgramName, Promises, Unit, UnitState};
use crate::partitions::directories::RESOURCE;
use crate::partitions::homes::{HomeError, Homes};
use crate::partitions::users::{Accounts, Ids};
use crate::promises::Watches;
use crate::quotas::Quotas;
use crate::software::{Makes, Release};
use crate::systemd::ListedUnit;
use crate::workload::Paths;

/// A partition could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    #[error("failed to look into the partition")]
    Inside(#[source] io::Error),
    #[error(transparent)]
    Limits(LimitsError),
    #[error("failed to find its programs")]
    Programs(#[source] ProgramsError),
    #[error("failed to find where its image listens")]
    Reach(#[source] io::Error),
    #[error("failed to find what it publishes")]
    Connection(#[source] ConnectionError),
    #[error("failed to find the redirections that it asks for")]
    Redirects(#[source] RedirectError),
    #[error("failed to find the block devices that it asks for")]
    Devices(#[source] DeviceError),
    #[error("failed to look at its folders on other disks")]
    Homes(#[source] HomeError),
    #[error("failed to find how much of the disk it uses")]
    Quotas(#[source] io::Error),
}

/// The units of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitsOf {
    pub programs: BTreeMap<ProgramName, Unit>,
    pub redirects: BTreeMap<ProgramName, UnitState>,
    pub bridges: BTreeMap<ProgramName, Unit>,
    pub slice: bool,
    pub held_to: Option<Fingerprint>,
    /// What makes it, and what watches its promises.
    pub others: Vec<UnitName>,
}

/// Where the last order carried out in full is noted, as the peer does.
pub const TIMESTAMP: &str = ".timestamp";
/// Where the order that the partition was instantiated for is noted.
pub const ORDER: &str = ".slapgrid/order";
/// The one program of an image that has no `instantiate`.
pub const MAIN: &str = "main";

const LONGEST_NOTE: u64 = 64 * 1024;

/// Returns the units of each partition.
pub fn units(listed: &[ListedUnit]) -> BTreeMap<PartitionName, UnitsOf> {
    let mut all: BTreeMap<PartitionName, UnitsOf> = BTreeMap::new();
    for unit in listed {
        let Some(name) = UnitName::parse(&unit.name) else {
            continue;
        };
        let Some(state) = state(unit) else {
            continue;
        };
        let units = all.entry(name.partition()).or_default();
        match name {
            UnitName::Program(_, program) => {
                let fingerprint = fingerprint_of(&unit.description);
                units.programs.insert(program, Unit { state, fingerprint });
            }
            UnitName::Slice(_) => {
                units.slice = true;
                units.held_to = fingerprint_of(&unit.description);
            }
            UnitName::Bridge(_, bridge) => {
                let fingerprint = fingerprint_of(&unit.description);
                units.bridges.insert(bridge, Unit { state, fingerprint });
            }
            UnitName::RedirectSocket(_, redirect) => {
                units.redirects.insert(redirect, state);
            }
            // What carries UDP is always there.
            UnitName::Redirect(_, redirect) if redirect.as_str().starts_with("udp-") => {
                units.redirects.insert(redirect, state);
            }
            // What carries TCP comes and goes with connections.
            UnitName::Redirect(..) | UnitName::BridgeService(..) => {}
            UnitName::Instantiate(_) | UnitName::Promises(_) => units.others.push(name),
        }
    }
    all
}

/// What is the same for all partitions at a moment.
#[derive(Debug)]
pub struct Sight<'a> {
    pub paths: &'a Paths,
    pub accounts: &'a Accounts,
    pub homes: Homes,
    pub devices: &'a Devices,
    pub quotas: &'a Quotas,
    /// What the guards that hold were made for, if that can be seen from here.
    pub guards: Option<BTreeMap<PartitionName, Fingerprint>>,
    /// What all addresses of the node begin with, once it is known.
    pub prefix: Option<Ipv6Net>,
    pub units: BTreeMap<PartitionName, UnitsOf>,
    pub watches: Option<&'a Watches>,
    pub now: Instant,
    /// The time of day.
    pub date: SystemTime,
    /// Whether the master knows its instances by certificates.
    pub certifies: bool,
    /// What a partition may use at most.
    pub most: &'a Most,
}

impl Sight<'_> {
    /// Looks at one partition; at its programs only if its release is given, and they were made as is wanted now.
    pub fn partition(
        &self,
        name: PartitionName,
        instance: &Instance,
        release: Option<&Release>,
        remembered: &Remembered,
    ) -> Result<Partition, ObserveError> {
        let path = self.paths.partition(name);
        let inside = Inside::open_if_there(&path).map_err(ObserveError::Inside)?;
        let mut found = self.outside(name, instance, remembered);
        let (Some(inside), Some(ids)) = (inside, self.accounts.of(name)) else {
            return Ok(found);
        };
        found.ready = true;
        found.empty = inside.holds_only(RESOURCE).map_err(ObserveError::Inside)?;
        let homes = &self.homes;
        if instance.state == slap::RequestedState::Destroyed {
            found.empty &= homes.are_empty(name).map_err(ObserveError::Homes)?;
            found.retention =
                retention::observe(&inside, self.date).map_err(ObserveError::Inside)?;
            found.takes_leave = programs::takes_leave(&inside).map_err(ObserveError::Programs)?;
            return Ok(found);
        }
        let housed = homes.are_of(name, &instance.reference);
        found.housed = housed.map_err(ObserveError::Homes)?;
        let folders = homes.folders(name).into_iter();
        found.given = folders.map(|folder| folder.on_node.into()).collect();
        if instance.state == slap::RequestedState::Started {
            let limits = Limits::understand(&instance.asked, self.most);
            found.limits = limits.map_err(ObserveError::Limits)?;
            let disk = found.limits.most.disk;
            let held = self.quotas.observe(name, ids, disk);
            (found.rationed, found.full) = held.map_err(ObserveError::Quotas)?;
        }
        found.processed = note(&inside, TIMESTAMP);
        found.order = note(&inside, ORDER).map(Fingerprint::new);
        self.observe_asking(&inside, instance, release, &mut found)?;
        // Of another order, or of what shall not run, nothing is asked of what the instance left, which may be what went wrong.
        let is_current = found.order == Some(instance.order(name, &found.told));
        if instance.state == slap::RequestedState::Started
            && is_current
            && let Some(release) = release
        {
            found.due = remembered.is_asked_again() || self.is_over(&inside, release);
            self.asked_of_node(&inside, ids, name, instance, &mut found)?;
            self.observe_made(name, ids, &inside, instance, release, &mut found)?;
        }
        Ok(found)
    }

    /// Looks at what it needs before anything is made of it, and asks the master for.
    fn observe_asking(
        &self,
        inside: &Inside,
        instance: &Instance,
        release: Option<&Release>,
        found: &mut Partition,
    ) -> Result<(), ObserveError> {
        // Before anything is made of it: what makes it calls the master.
        if self.certifies && release.is_some_and(|release| release.makes != Makes::Nothing) {
            let good = credentials::is_good(inside, unix_seconds(self.date));
            found.certified = good.map_err(ObserveError::Inside)?;
        }
        if instance.state == slap::RequestedState::Started
            && release.is_some_and(|release| release.makes == Makes::Script)
        {
            let requested = Requested::read(inside);
            found.asks = requested.due(instance, unix_seconds(self.date));
            found.waits = requested.trouble();
            found.requested = requested.titles();
            found.told = requested.told;
        }
        Ok(())
    }

    /// Whether an instance that was processed has its time over. What an image alone runs is the same each time.
    fn is_over(&self, inside: &Inside, release: &Release) -> bool {
        let since = inside.mark(TIMESTAMP).ok().flatten();
        release.makes != Makes::Nothing
            && since.is_some_and(|mark| release.periodicity.is_over(mark.modified(), self.date))
    }

    /// Looks whether it has what it asks the node for.
    fn asked_of_node(
        &self,
        inside: &Inside,
        ids: Ids,
        name: PartitionName,
        instance: &Instance,
        found: &mut Partition,
    ) -> Result<(), ObserveError> {
        let asked = devices::asked(inside).map_err(ObserveError::Devices)?;
        let has = self.devices.has(name, ids, &asked);
        found.equipped = has.map_err(ObserveError::Devices)?;
        let devices = asked.into_iter().map(Utf8PathBuf::into_string);
        found.given.extend(devices);
        if let (Some(guards), Some(prefix)) = (&self.guards, self.prefix) {
            let whitelist = firewall::whitelist(inside).map_err(ObserveError::Inside)?;
            let ranges = firewall::ranges(prefix, name, ids);
            let wishes = Wishes {
                partition: name,
                ids,
                instance,
                whitelist: whitelist.as_deref(),
                ranges: &ranges,
                settings: self.paths.firewall.as_ref(),
            };
            found.guarded = guards.get(&name) == wishes.fingerprint().as_ref();
        }
        let redirects = redirect::asked(inside, instance);
        let redirects = redirects.map_err(ObserveError::Redirects)?;
        found.redirects = redirects.into_keys().collect();
        Ok(())
    }

    /// Looks at what an instance was made of.
    fn observe_made(
        &self,
        name: PartitionName,
        ids: Ids,
        inside: &Inside,
        instance: &Instance,
        release: &Release,
        found: &mut Partition,
    ) -> Result<(), ObserveError> {
        let programs = programs_of(inside, release).map_err(ObserveError::Programs)?;
        found.programs = contents(programs);
        found.has_promises = programs::has_promises(inside).map_err(ObserveError::Programs)?;
        if release.makes == Makes::Script {
            let shared = connection::read_shared(inside, ids, |it| instance.is_shared_by(it));
            found.shared = shared.map_err(ObserveError::Connection)?;
        }
        if let Makes::Buildout(_) = release.makes {
            found.requested = requested(inside, name);
        }
        let (ipv6, ipv4) = instance.addresses();
        match release.makes {
            // A stock image cannot say where it is.
            Makes::Nothing => {
                let ports = &release.runs.exposed_ports;
                found.connection = container::published(ipv6, ports);
                let runs = |(name, unit): (&ProgramName, &Unit)| {
                    name.as_str() == MAIN && unit.state == UnitState::Running
                };
                if found.units.iter().any(runs) {
                    let reach = reach::look(name, ports, &found.open, self.date);
                    let reach = reach.map_err(ObserveError::Reach)?;
                    (found.bridges, found.look_again) = (reach.bridges, reach.again);
                }
            }
            Makes::Script | Makes::Buildout(_) => {
                let connection = connection::read(inside, ids);
                found.connection = connection.map_err(ObserveError::Connection)?;
                let bridges = bridges::wanted(inside, ipv6, ipv4);
                found.bridges = bridges.map_err(ObserveError::Programs)?;
            }
        }
        Ok(())
    }

    fn outside(
        &self,
        name: PartitionName,
        instance: &Instance,
        remembered: &Remembered,
    ) -> Partition {
        let units = self.units.get(&name).cloned().unwrap_or_default();
        let failure = remembered.failure(&goal(name, instance), self.now);
        Partition {
            ready: false,
            empty: true,
            processed: None,
            order: None,
            programs: BTreeMap::new(),
            units: units.programs,
            redirects: BTreeSet::new(),
            redirected: units.redirects,
            bridges: BTreeMap::new(),
            open: units.bridges,
            look_again: None,
            slice: units.slice,
            held_to: units.held_to,
            limits: Limits::default(),
            loose_ends: !units.others.is_empty(),
            has_promises: false,
            watched: self.watches.and_then(|watches| watches.subject(name)),
            promises: match self.watches {
                Some(watches) => watches.promises(name),
                None => Promises::Unknown,
            },
            crashing: remembered.crashing(self.now),
            requested: Vec::new(),
            told: Told::new(),
            asks: None,
            waits: None,
            certified: true,
            housed: true,
            rationed: true,
            full: false,
            equipped: true,
            guarded: true,
            given: Vec::new(),
            retention: Retention::Over,
            takes_leave: false,
            connection: None,
            due: false,
            shared: BTreeMap::new(),
            failure: failure.map(|(message, _)| message.to_owned()),
            resting: failure.is_some_and(|(_, rest)| !rest.is_zero()),
        }
    }
}

/// What a partition runs: what its `instantiate` left, or the one program of an image without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Programs {
    Files(BTreeMap<ProgramName, Found>),
    Command(Vec<String>),
}

/// Returns what the partition runs.
pub fn programs_of(inside: &Inside, release: &Release) -> Result<Programs, ProgramsError> {
    if release.makes != Makes::Nothing {
        programs::programs(inside).map(Programs::Files)
    } else {
        Ok(Programs::Command(release.runs.command()))
    }
}

fn contents(programs: Programs) -> BTreeMap<ProgramName, Fingerprint> {
    match programs {
        Programs::Files(files) => files
            .into_iter()
            .map(|(name, found)| (name, found.content))
            .collect(),
        Programs::Command(command) if command.is_empty() => BTreeMap::new(),
        Programs::Command(command) => {
            let main = ProgramName::new(MAIN).expect("a name of letters");
            BTreeMap::from([(main, Fingerprint::of(command.join("\0").as_bytes()))])
        }
    }
}

/// Returns where the original's library notes what a partition requests of others.
pub fn request_list(partition: PartitionName) -> String {
    format!(".slapos-request-transaction-{partition}")
}

/// Reads what the partition requested of others. It is the partition's own file: one that misleads is none.
fn requested(inside: &Inside, partition: PartitionName) -> Vec<String> {
    let Some(text) = note(inside, &request_list(partition)) else {
        return Vec::new();
    };
    let mut titles: Vec<_> = text.lines().map(str::to_owned).collect();
    titles.sort();
    titles.dedup();
    titles
}

/// Reads a note of ours. One that cannot be read is none: the order is then carried out again.
fn note(inside: &Inside, path: &str) -> Option<String> {
    let note = inside.read(path, LONGEST_NOTE).ok()??;
    String::from_utf8(note).ok()
}

fn state(unit: &ListedUnit) -> Option<UnitState> {
    match (unit.active_state.as_str(), unit.sub_state.as_str()) {
        ("inactive", _) => None,
        ("active" | "reloading" | "refreshing", _) => Some(UnitState::Running),
        ("activating", sub) if sub.starts_with("auto-restart") => Some(UnitState::Restarting),
        ("activating", _) => Some(UnitState::Starting),
        _ => Some(UnitState::Ending),
    }
}
