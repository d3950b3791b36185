//! What a program of a partition may do: the properties of the units that run it. Pure.
//!
//! A program sees its release as `/`, read-only, and of the rest of the node only its own partition's directory. It
//! has no privilege, cannot get one, and sees no process, memory or temporary file of others.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use crate::desired::{Fingerprint, PartitionName};
use crate::devices::Device;
use crate::instances::limits::{Limits, MOST_TASKS};
use crate::partitions::homes::Folder;
use crate::partitions::users::{Ids, SOFTWARE_USER};
use crate::software::{self, Makes, Release, shared};
use crate::systemd::{Property, Value, property};

/// A partition with all that its programs are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub partition: PartitionName,
    pub ids: Ids,
    pub directory: Utf8PathBuf,
    pub ipv6: Option<Ipv6Addr>,
    pub ipv4: Option<Ipv4Addr>,
    /// Its folders on other disks.
    pub folders: Vec<Folder>,
    /// The block devices that it has.
    pub devices: Vec<Device>,
    pub limits: Limits,
    /// The project that counts files of it which are not its user's, where the disk has quotas.
    pub project: Option<u32>,
}

/// How a program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// It runs on; started again whenever it ends.
    Service,
    /// It ends by itself; started again when it fails.
    Task,
    /// It ends by itself within a time, and is not started again.
    Once(Duration),
    /// It runs as long as we speak with it, and is not started again.
    Helper,
}

/// A program of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// With its arguments, its own name first.
    pub command: Vec<String>,
    pub run: Run,
    /// Where it begins, if not in the partition's directory.
    pub folder: Option<String>,
    /// What else it is told.
    pub environment: BTreeMap<&'static str, String>,
}

/// What configures partitions runs here, and yields to what serves.
pub const CONFIGURATION_SLICE: &str = "slapconfiguration.slice";
/// Where programs are told their parameters, in the partition's directory.
pub const PARAMETERS: &str = ".slapgrid/parameters.json";
/// Where a release's `instantiate` says what the instance publishes.
pub const CONNECTION: &str = ".slapgrid/connection.json";
/// Where it says what it publishes for those who share it.
pub const SHARED_CONNECTION: &str = ".slapgrid/shared-connection.json";
/// Where a release's `instantiate` says which other instances there shall be for it.
pub const REQUESTS: &str = ".slapgrid/requests.json";

/// Source, destination, and whether a missing source is passed over.
type Bind = (String, String, bool);

const RESTART_AFTER: Duration = Duration::from_secs(1);
const RESTART_AFTER_AT_MOST: Duration = Duration::from_secs(60);
pub(super) const STOP_WITHIN: Duration = Duration::from_secs(30);
/// The last: promises of 200 partitions may begin at once, and each is one against what serves.
const YIELDING: i32 = 19;
pub(super) const MOST_FILES: u64 = 65_536;
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Returns the name of a partition's slice.
pub fn slice(partition: PartitionName) -> String {
    format!("{partition}.slice")
}

/// Returns the properties of a partition's slice.
pub fn slice_properties(partition: PartitionName, limits: &Limits) -> Vec<Property> {
    let mut all = vec![
        property("CPUAccounting", true),
        property("IOAccounting", true),
        property("IPAccounting", true),
        property("MemoryAccounting", true),
        property("TasksAccounting", true),
    ];
    all.extend(limited(partition, limits));
    all
}

/// Returns those of them that may change while it lives.
pub fn limited(partition: PartitionName, limits: &Limits) -> Vec<Property> {
    let fingerprint = limits.fingerprint();
    let description = format!("Partition {partition} [{}]", fingerprint.as_str());
    let mut all = vec![property("Description", description)];
    all.extend(limits.properties());
    all
}

/// Returns the properties of the unit that runs a program of a partition.
pub fn properties(place: &Place, release: &Release, program: &Program) -> Vec<Property> {
    let folder = program.folder.as_deref();
    let mut all = vec![
        property("CollectMode", "inactive-or-failed"),
        property("ExecStart", Value::Command(program.command.clone())),
        property("Environment", environment(place, release, program)),
        property(
            "WorkingDirectory",
            folder.unwrap_or(place.directory.as_str()),
        ),
        property("User", place.ids.uid.to_string()),
        property("Group", place.ids.gid.to_string()),
        property("UMask", 0o027_u32),
        property("LimitNOFILE", MOST_FILES),
        // Beside what the slice may have, where nothing counts the tasks of slices: the user is the partition's alone.
        property("LimitNPROC", place.limits.most.tasks),
        property("KillMode", "control-group"),
        property("TimeoutStopUSec", micros(STOP_WITHIN)),
    ];
    all.extend(running(program.run));
    let sees = match &release.makes {
        Makes::Buildout(folder) => {
            // Of the shared parts all: they are software, which no partition has secrets in, and which of them a release has
            // may be another set at each start of a program.
            let shared = folder.parent().map(shared::folder);
            let shared = shared.map(|shared| same(shared.as_str(), true));
            [same(folder.as_str(), false)]
                .into_iter()
                .chain(shared)
                .collect()
        }
        Makes::Nothing | Makes::Script => Vec::new(),
    };
    let mut own = vec![same(place.directory.as_str(), false)];
    // What went away meanwhile is noticed by the next pass.
    let folders = place.folders.iter();
    own.extend(folders.map(|it| (it.on_node.to_string(), it.seen.to_string(), true)));
    let devices = place.devices.iter();
    own.extend(devices.map(|it| (it.node.to_string(), it.seen.to_string(), true)));
    all.extend(view(&release.rootfs, own, sees));
    if !place.devices.is_empty() {
        let nodes = place.devices.iter().map(|it| it.node.to_string());
        let rules = nodes.map(|node| (node, "rw".to_owned())).collect();
        all.push(property("DeviceAllow", Value::Pairs(rules)));
    }
    all.extend(release.runs.devices.iter().flat_map(|it| device(*it)));
    all.extend(privileges());
    all
}

/// Where software is built.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// What the build sees as `/`.
    pub rootfs: &'a Utf8Path,
    /// The release's own folder.
    pub folder: &'a Utf8Path,
    /// The folder of the parts that it may share with other releases, if it makes some.
    pub shared: Option<&'a Utf8Path>,
    pub ids: Ids,
    /// A proxy for what it downloads.
    pub proxy: Option<&'a str>,
}

/// Returns the properties of the unit that builds software, as its user.
pub fn building(site: &Site<'_>, command: Vec<String>, within: Duration) -> Vec<Property> {
    let Site {
        rootfs,
        folder,
        shared,
        ids,
        proxy,
    } = *site;
    let mut told = BTreeMap::from([
        ("PATH", PATH.to_owned()),
        ("HOME", folder.to_string()),
        ("USER", SOFTWARE_USER.to_owned()),
        ("LOGNAME", SOFTWARE_USER.to_owned()),
        ("PYTHONNOUSERSITE", "true".to_owned()),
    ]);
    if let Some(proxy) = proxy {
        told.extend(["http_proxy", "https_proxy"].map(|name| (name, proxy.to_owned())));
    }
    let mut all = vec![
        property("CollectMode", "inactive-or-failed"),
        property("ExecStart", Value::Command(command)),
        property("Environment", entries(told)),
        property("WorkingDirectory", folder.as_str()),
        property("User", ids.uid.to_string()),
        property("Group", ids.gid.to_string()),
        property("UMask", 0o027_u32),
        property("LimitNOFILE", MOST_FILES),
        property("LimitNPROC", MOST_TASKS),
        property("TasksMax", MOST_TASKS),
        property("KillMode", "control-group"),
        property("TimeoutStopUSec", micros(STOP_WITHIN)),
    ];
    all.extend(running(Run::Once(within)));
    let own = [folder].into_iter().chain(shared);
    let own = own.map(|path| same(path.as_str(), false)).collect();
    all.extend(view(rootfs, own, Vec::new()));
    all.extend(privileges());
    all
}

/// Returns what describes the unit of a program in lists, and tells what it was started as.
pub fn description(partition: PartitionName, program: &str, fingerprint: &Fingerprint) -> String {
    format!("{partition}: {program} [{}]", fingerprint.as_str())
}

/// Returns what a unit was started as, from its description.
pub fn fingerprint_of(description: &str) -> Option<Fingerprint> {
    let (_, tail) = description.rsplit_once('[')?;
    Some(Fingerprint::new(tail.strip_suffix(']')?))
}

fn running(run: Run) -> Vec<Property> {
    match run {
        Run::Once(limit) => vec![
            property("Type", "oneshot"),
            property("Restart", "no"),
            property("TimeoutStartUSec", micros(limit)),
            // What builds, configures and checks yields to what serves, also where nothing weighs slices.
            property("Nice", YIELDING),
        ],
        Run::Helper => vec![
            property("Type", "exec"),
            property("Restart", "no"),
            property("Nice", YIELDING),
        ],
        Run::Service => {
            let mut all = restarting("always");
            all.push(property("Type", "exec"));
            all
        }
        Run::Task => {
            let mut all = restarting("on-failure");
            all.push(property("Type", "exec"));
            all.push(property("RemainAfterExit", true));
            all
        }
    }
}

pub(super) fn restarting(when: &'static str) -> Vec<Property> {
    vec![
        property("Restart", when),
        property("RestartUSec", micros(RESTART_AFTER)),
        property("RestartSteps", 6_u32),
        property("RestartMaxDelayUSec", micros(RESTART_AFTER_AT_MOST)),
        // Never given up: a service whose disk was full for an hour comes back.
        property("StartLimitIntervalUSec", 0_u64),
    ]
}

/// A path that the program sees where it is, or does without.
fn same(path: &str, optional: bool) -> Bind {
    (path.to_owned(), path.to_owned(), optional)
}

/// What the program sees of the node: a root, folders that are its own, and others that it only reads.
fn view(rootfs: &Utf8Path, own: Vec<Bind>, sees: Vec<Bind>) -> Vec<Property> {
    let mut readable = vec![same("/etc/resolv.conf", true), same("/etc/hosts", true)];
    readable.extend(sees);
    // One that may be missing would be missed here.
    let writable = own.iter().filter(|(.., optional)| !optional);
    let writable: Vec<_> = writable.map(|(_, seen, _)| seen.clone()).collect();
    let mut all = vec![
        property("RootDirectory", rootfs.as_str()),
        property("MountAPIVFS", true),
        property("BindPaths", Value::Binds(own)),
        property("BindReadOnlyPaths", Value::Binds(readable)),
        property("ReadWritePaths", writable),
        property("ProtectSystem", "strict"),
        property("ProtectHome", "read-only"),
        property("PrivateTmp", true),
        property("PrivateDevices", true),
        property("PrivateIPC", true),
        // The node's own would be seen by all partitions.
        property(
            "TemporaryFileSystem",
            Value::TemporaryFolders(vec![("/dev/shm".into(), "mode=1777,nosuid,nodev".into())]),
        ),
    ];
    all.extend(node_protections());
    all
}

/// What of the node nobody sees or changes, whatever root it has.
pub(super) fn node_protections() -> Vec<Property> {
    vec![
        property("ProtectProc", "invisible"),
        property("ProtectKernelTunables", true),
        property("ProtectKernelModules", true),
        property("ProtectKernelLogs", true),
        property("ProtectControlGroups", true),
        property("ProtectClock", true),
        property("ProtectHostname", true),
    ]
}

/// What a program needs to open a device, if the node has it.
fn device(device: software::Device) -> Vec<Property> {
    let path = device.path().to_owned();
    let allowed = Value::Pairs(vec![(path.clone(), "rw".to_owned())]);
    let mut all = vec![
        property("DeviceAllow", allowed),
        property("BindPaths", Value::Binds(vec![(path.clone(), path, true)])),
    ];
    match device {
        software::Device::Kvm => all.push(property("SupplementaryGroups", vec!["kvm".to_owned()])),
        // Anybody may open it.
        software::Device::Tun => {}
    }
    all
}

pub(super) fn privileges() -> Vec<Property> {
    let families = ["AF_INET", "AF_INET6", "AF_NETLINK", "AF_UNIX"];
    let allowed = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned());
        Value::Allowed(true, names.collect())
    };
    vec![
        property("NoNewPrivileges", true),
        property("CapabilityBoundingSet", 0_u64),
        property("AmbientCapabilities", 0_u64),
        property("RestrictNamespaces", 0_u64),
        property("RestrictSUIDSGID", true),
        property("RestrictRealtime", true),
        property("RestrictAddressFamilies", allowed(&families)),
        property("LockPersonality", true),
        property("KeyringMode", "private"),
        property("SystemCallArchitectures", vec!["native".to_owned()]),
        property("SystemCallFilter", allowed(&["@system-service"])),
    ]
}

fn environment(place: &Place, release: &Release, program: &Program) -> Vec<String> {
    let directory = &place.directory;
    let user = place.partition.user();
    let of_image = release.runs.env.iter().filter_map(|entry| entry_of(entry));
    let mut all = BTreeMap::from([("PATH", PATH.to_owned())]);
    // What comes later wins: an image may set PATH, but not who the instance is. systemd refuses a name twice.
    all.extend(of_image);
    all.extend([
        ("HOME", directory.to_string()),
        ("USER", user.clone()),
        ("LOGNAME", user),
        ("SLAPOS_PARTITION", directory.to_string()),
        ("SLAPOS_IPV6", text_of(place.ipv6)),
        ("SLAPOS_IPV4", text_of(place.ipv4)),
        ("SLAPOS_PARAMETERS", directory.join(PARAMETERS).into()),
        ("SLAPOS_CONNECTION", directory.join(CONNECTION).into()),
        (
            "SLAPOS_SHARED_CONNECTION",
            directory.join(SHARED_CONNECTION).into(),
        ),
        ("SLAPOS_REQUESTS", directory.join(REQUESTS).into()),
    ]);
    let more = program.environment.iter();
    all.extend(more.map(|(name, value)| (*name, value.clone())));
    entries(all)
}

fn entries(all: BTreeMap<&str, String>) -> Vec<String> {
    let all = all.into_iter();
    all.map(|(name, value)| format!("{name}={value}")).collect()
}

fn text_of(address: Option<impl ToString>) -> String {
    address
        .map(|address| address.to_string())
        .unwrap_or_default()
}

/// Reads `NAME=value`; systemd refuses a whole unit for one malformed entry.
fn entry_of(entry: &str) -> Option<(&str, String)> {
    let (name, value) = entry.split_once('=')?;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let fits = begins_well
        && name.bytes().all(good)
        && !value.contains(|c: char| c.is_control() && c != '\n' && c != '\t');
    fits.then(|| (name, value.to_owned()))
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
