//! A stock image, run unmodified: its entrypoint in a container that systemd starts by crun, an OCI runtime.
//!
//! Stock images start as root or as a user of their own, change owners, become somebody else, bind low ports, write
//! wherever they like. systemd's own confinement (`confinement`) gives a program one user and a read-only root, so here
//! an image gets what it expects, and none of it is the node's:
//!
//! * **Users**: a user namespace. The image's root is the partition's own user, its other 65,535 users are numbers that only
//!   this partition has. Files have the owners that the image gave them, by mounts that map them. The capabilities are
//!   those that engines give, less raw sockets, devices and audit; they count inside only, and no program gains any.
//! * **Files**: the image is never written; a layer in the partition takes what the image's programs write (`/run`,
//!   `/tmp`, `/var/cache`, `/etc` …) and is new whenever the agent starts the instance. A volume of the image is the
//!   directory `volumes/NAME` of the partition, begun with what the image has there, and lasts until the instance is
//!   destroyed: over restarts, reboots and other releases.
//! * **Network**: an image that exposes a port has a network namespace with the partition's IPv6, so that it binds that
//!   port of all addresses, low or not. Others share the node's. Inside there is no IPv4 but the loopback's, and no way
//!   into the world but the overlay's; the node's name server answers there.
//! * **The rest of the node**: own processes, memory, messages, name; no other partition's file; kernel settings read-only;
//!   the system calls of systemd's `@system-service` without those for namespaces, keys and rings.
//!
//! Not supported, and why: set-user-id programs (no program gains a privilege), devices, nested containers and `mount`
//! (what they need is what confines), users beyond 65,535 (a partition has no more), health checks (Docker's own, not
//! OCI's), `SIGRTMIN+n` as stop signal (systemd numbers them otherwise).
//!
//! Pure: `prepare` lays things out, `enter` is what the unit runs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::str::FromStr as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::confinement::{MOST_FILES, STOP_WITHIN, micros, restarting};
use crate::desired::PartitionName;
use crate::partitions::users::Ids;
use crate::software::{Port, Runs, Transport};
use crate::systemd::{Property, Value, property};

pub mod enter;
pub mod environment;
pub mod prepare;
pub mod reach;
mod specification;
pub mod user;

/// Where what a container is made from lies while it runs.
const BUNDLES: &str = "/run/slapbox/containers";
/// Where crun keeps what it knows.
const RUNTIME_STATE: &str = "/run/slapbox/crun";
const RUNTIME: &str = "/usr/bin/crun";
const AGENT: &str = "/usr/bin/slapbox-agent";
/// The directory of the volumes, in a partition.
const VOLUMES: &str = "volumes";
/// Where its folders on other disks are brought, in a bundle.
const FOLDERS: &str = "folders";
/// What its programs wrote outside of volumes, in a partition.
const LAYER: &str = ".slapgrid/layer";
/// How many users an image has in a partition.
const USERS: u32 = 65_536;
/// The first of those numbers, which systemd sets aside for containers: 524288 to 1879048191.
/// Source: systemd's UIDS-GIDS document.
const FIRST_USER: u32 = 524_288;

/// Which users of the node an image's users are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    root: Ids,
    others: u32,
}

impl Mapping {
    /// Returns the mapping of a partition.
    pub fn of(partition: PartitionName, ids: Ids) -> Self {
        Self {
            root: ids,
            others: FIRST_USER + u32::from(partition.index()) * USERS,
        }
    }

    /// Returns who on the node owns what a user and a group of the image own.
    pub fn on_node(self, owner: Ids) -> Ids {
        let Ids { uid, gid } = owner;
        let number = |id, root| match id {
            0 => root,
            _ => self.others + id % USERS,
        };
        Ids {
            uid: number(uid, self.root.uid),
            gid: number(gid, self.root.gid),
        }
    }

    /// Returns whether a user of the node is one of the image's.
    pub fn has(self, uid: u32) -> bool {
        uid == self.root.uid || (1..USERS).contains(&uid.wrapping_sub(self.others))
    }

    /// Returns the users of the node that are the partition's: first and last.
    pub fn users(self) -> [(u32, u32); 2] {
        let root = self.root.uid;
        [(root, root), (self.others + 1, self.others + USERS - 1)]
    }

    /// Returns the ranges, image's first, then node's, then how many: of users, of groups.
    fn ranges(self) -> [[(u32, u32, u32); 2]; 2] {
        let rest = (1, self.others + 1, USERS - 1);
        [[(0, self.root.uid, 1), rest], [(0, self.root.gid, 1), rest]]
    }

    /// Returns it as mount(8) takes it.
    fn of_mount(self) -> String {
        let [users, groups] = self.ranges();
        let (users, groups) = (
            users.map(|range| ('u', range)),
            groups.map(|range| ('g', range)),
        );
        let ranges = users.into_iter().chain(groups);
        let ranges =
            ranges.map(|(kind, (image, node, count))| format!("{kind}:{image}:{node}:{count}"));
        ranges.collect::<Vec<_>>().join(" ")
    }
}

/// What `enter` needs to know beside what crun is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    partition: PartitionName,
    /// Who copies what it says to the journal.
    uid: u32,
    gid: u32,
    /// The files of the image.
    rootfs: Utf8PathBuf,
    /// The partition, with the layer that is laid over them and the volumes.
    directory: Utf8PathBuf,
    /// The volumes' names.
    volumes: Vec<String>,
    /// Its folders on other disks, in their order.
    folders: Vec<Utf8PathBuf>,
    /// How mount(8) maps their owners.
    mapping: String,
    /// The address of a network of its own, if it has one.
    network: Option<Ipv6Addr>,
}

/// Returns where a partition's container is made from.
pub fn bundle(partition: PartitionName) -> Utf8PathBuf {
    Utf8Path::new(BUNDLES).join(partition.to_string())
}

/// Returns what an image that exposes ports publishes by itself: `ipv6`, `ports`, `url` of its first port and, if it has
/// several, `url-PORT` of each.
pub fn published(
    ipv6: Option<Ipv6Addr>,
    ports: &BTreeSet<Port>,
) -> Option<BTreeMap<String, String>> {
    let (ipv6, first) = (ipv6?, ports.first()?);
    let names = ports.iter().map(ToString::to_string);
    let mut all = BTreeMap::from([
        ("ipv6".to_owned(), ipv6.to_string()),
        ("ports".to_owned(), names.collect::<Vec<_>>().join(" ")),
        ("url".to_owned(), url(ipv6, *first)),
    ]);
    if ports.len() > 1 {
        // The first of two transports with one number has the name.
        for port in ports.iter().rev() {
            all.insert(format!("url-{}", port.number), url(ipv6, *port));
        }
    }
    Some(all)
}

/// Only the two ports that say what is spoken there are given a scheme of their own.
fn url(ipv6: Ipv6Addr, port: Port) -> String {
    let Port { transport, number } = port;
    match (transport, number) {
        (Transport::Tcp, 80) => format!("http://[{ipv6}]"),
        (Transport::Tcp, 443) => format!("https://[{ipv6}]"),
        (Transport::Tcp | Transport::Udp | Transport::Sctp, _) => {
            format!("{transport}://[{ipv6}]:{number}")
        }
    }
}

/// Returns the properties of the unit that runs a partition's container. What confines it is crun's to do, so that the unit
/// itself is root's.
pub fn properties(partition: PartitionName, runs: &Runs) -> Vec<Property> {
    let bundle = bundle(partition);
    let name = partition.to_string();
    let command = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned());
        Value::Command(words.collect())
    };
    let delete = ["--root", RUNTIME_STATE, "delete", "--force", name.as_str()];
    let mut all = vec![
        property("CollectMode", "inactive-or-failed"),
        property("ExecStart", command(&[AGENT, "contain", bundle.as_str()])),
        property("ExecStopPost", command(&[&[RUNTIME][..], &delete].concat())),
        // crun ends when the container runs, and nothing of ours stays beside it.
        property("Type", "forking"),
        property("PIDFile", bundle.join(PID_FILE).into_string()),
        property("TimeoutStartUSec", micros(START_WITHIN)),
        property("LimitNOFILE", MOST_FILES),
        // As engines do: its first process is told, and has some time.
        property("KillMode", "mixed"),
        property("KillSignal", stop_signal(&runs.stop_signal)),
        property("TimeoutStopUSec", micros(STOP_WITHIN)),
        property("SyslogIdentifier", format!("{partition}-main")),
        property("PrivateMounts", true),
        property("PrivateTmp", true),
        property("ProtectHome", "yes"),
        property("KeyringMode", "private"),
        property("LockPersonality", true),
        property("RestrictRealtime", true),
        property("SystemCallArchitectures", vec!["native".to_owned()]),
    ];
    all.extend(restarting("always"));
    all
}

/// The file that has the number of its first process, in a bundle.
const PID_FILE: &str = "pid";
/// Long enough for a machine that starts hundreds at once.
const START_WITHIN: Duration = Duration::from_secs(90);

/// One that we do not know is passed over: the program is then ended as most are.
fn stop_signal(text: &str) -> i32 {
    let named = Signal::from_str(text).or_else(|_| Signal::from_str(&format!("SIG{text}")));
    let numbered = || Signal::try_from(text.parse::<i32>().unwrap_or_default());
    named.or_else(|_| numbered()).unwrap_or(Signal::SIGTERM) as i32
}

#[cfg(test)]
mod tests;
