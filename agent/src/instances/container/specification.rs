//! What crun is told of a container: the OCI runtime specification's `config.json`. Pure.

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde_json::{Value, json};

use super::environment::is_variable;
use super::user::Identity;
use super::{FOLDERS, Mapping, VOLUMES};
use crate::instances::confinement::{PATH, Place};
use crate::software::Runs;

/// What Docker and podman give, less raw sockets, devices, file capabilities and audit.
const CAPABILITIES: [&str; 10] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];
/// What of the kernel is nobody's business, as Docker has it.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];
/// systemd's `@system-service`, without what makes or enters namespaces, keeps keys, drives rings or looks into others;
/// with `chroot`, and with newer calls about a program's own memory.
const SYSTEM_CALLS: &str = include_str!("system_calls.txt");
/// All flags of clone(2) that ask for namespaces. Source: the kernel's `sched.h`.
const NEW_NAMESPACES: u32 = 0x7e02_0000;
/// What a socket may be for, as `confinement` has it for other programs.
const FAMILIES: [i32; 4] = [
    libc::AF_INET,
    libc::AF_INET6,
    libc::AF_NETLINK,
    libc::AF_UNIX,
];

/// The files of a bundle that an image sees, and where.
pub(super) const TOLD: [(&str, &str); 3] = [
    ("resolv.conf", "/etc/resolv.conf"),
    ("hosts", "/etc/hosts"),
    ("hostname", "/etc/hostname"),
];
/// Where the image's files are put together, in a bundle.
pub(super) const ROOT: &str = "root";

/// What a container is made of.
#[derive(Debug)]
pub(super) struct Container<'a> {
    pub(super) place: &'a Place,
    pub(super) runs: &'a Runs,
    pub(super) identity: &'a Identity,
    pub(super) mapping: Mapping,
    pub(super) parameters: &'a BTreeMap<String, String>,
    pub(super) bundle: &'a Utf8Path,
}

impl Container<'_> {
    /// Returns the whole document.
    pub(super) fn specification(&self) -> Value {
        let Identity {
            uid, gid, groups, ..
        } = self.identity;
        let folder = self.runs.folder();
        json!({
            "ociVersion": "1.0.2",
            "process": {
                "terminal": false,
                "user": { "uid": uid, "gid": gid, "additionalGids": groups, "umask": 0o022 },
                "args": self.runs.command(),
                "env": self.environment(),
                "cwd": folder.as_deref().unwrap_or("/"),
                "noNewPrivileges": true,
                "capabilities": {
                    "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES,
                },
            },
            "root": { "path": self.bundle.join(ROOT) },
            "hostname": self.place.partition.to_string(),
            "mounts": self.mounts(),
            "linux": self.kernel(),
        })
    }

    fn kernel(&self) -> Value {
        // Not `network`: it is joined before, so that nobody inside has power over it.
        let namespaces = ["pid", "ipc", "uts", "mount", "user", "cgroup"];
        let [users, groups] = self.mapping.ranges().map(|ranges| {
            let ranges = ranges.map(|(image, node, count)| {
                json!({ "containerID": image, "hostID": node, "size": count })
            });
            Value::from(ranges.to_vec())
        });
        json!({
            "namespaces": namespaces.map(|kind| json!({ "type": kind })),
            "uidMappings": users,
            "gidMappings": groups,
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
            "seccomp": system_calls(),
        })
    }

    fn mounts(&self) -> Vec<Value> {
        let mount = |to: &str, kind: &str, options: &[&str]| json!({ "destination": to, "type": kind, "source": kind, "options": options });
        let bind = |from: &Utf8Path, to: &str, options: &[&str]| json!({ "destination": to, "type": "bind", "source": from, "options": options });
        let bare = ["nosuid", "noexec", "nodev"];
        let with = |more: &[&'static str]| [&bare[..], more].concat();
        let mut all = vec![
            mount("/proc", "proc", &bare),
            mount(
                "/dev",
                "tmpfs",
                &["nosuid", "strictatime", "mode=755", "size=65536k"],
            ),
            mount(
                "/dev/pts",
                "devpts",
                &[
                    "nosuid",
                    "noexec",
                    "newinstance",
                    "ptmxmode=0666",
                    "mode=0620",
                ],
            ),
            mount("/dev/shm", "tmpfs", &with(&["mode=1777", "size=256m"])),
            mount("/dev/mqueue", "mqueue", &bare),
            bind(Utf8Path::new("/sys"), "/sys", &with(&["rbind", "ro"])),
            mount("/sys/fs/cgroup", "cgroup", &with(&["ro"])),
        ];
        let told = TOLD.iter();
        all.extend(
            told.map(|(file, to)| bind(&self.bundle.join(file), to, &with(&["bind", "ro"]))),
        );
        let volumes = self.bundle.join(VOLUMES);
        let of_image = self.runs.volumes.iter();
        all.extend(of_image.map(|volume| {
            let options = ["nosuid", "nodev", "bind", "rw"];
            bind(&volumes.join(volume.name()), volume.as_str(), &options)
        }));
        let folders = self.bundle.join(FOLDERS);
        let on_other_disks = self.place.folders.iter().enumerate();
        all.extend(on_other_disks.map(|(number, folder)| {
            let options = ["nosuid", "nodev", "bind", "rw"];
            let from = folders.join(number.to_string());
            bind(&from, folder.seen.as_str(), &options)
        }));
        let devices = self.place.devices.iter();
        all.extend(devices.map(|device| {
            let options = ["nosuid", "noexec", "bind", "rw"];
            bind(&device.node, device.seen.as_str(), &options)
        }));
        all
    }

    /// What comes later wins: the image may set anything, the requester more, the node has the last word.
    fn environment(&self) -> Vec<String> {
        let text = |value: &str| value.to_owned();
        let mut all = BTreeMap::from([
            ("PATH", text(PATH)),
            ("HOME", text(&self.identity.home)),
            ("HOSTNAME", self.place.partition.to_string()),
        ]);
        let of_image = self
            .runs
            .env
            .iter()
            .filter_map(|entry| entry.split_once('='));
        let of_image = of_image.filter(|(name, _)| is_variable(name));
        all.extend(of_image.map(|(name, value)| (name, value.to_owned())));
        let given = self.parameters.iter();
        all.extend(given.map(|(name, value)| (name.as_str(), value.clone())));
        if let Some(ipv6) = self.place.ipv6 {
            all.insert("SLAPOS_IPV6", ipv6.to_string());
        }
        let all = all.into_iter();
        all.map(|(name, value)| format!("{name}={value}")).collect()
    }
}

/// What is not allowed is answered as by a kernel that does not have it, which programs expect of an older one.
fn system_calls() -> Value {
    const NOT_THERE: i32 = libc::ENOSYS;
    let allowed: Vec<&str> = SYSTEM_CALLS.split_whitespace().collect();
    let no_namespace = json!([{
        "index": 0, "value": NEW_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ",
    }]);
    let mut rules = vec![
        json!({ "names": allowed, "action": "SCMP_ACT_ALLOW" }),
        json!({ "names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": no_namespace }),
    ];
    rules.extend(FAMILIES.map(|family| {
        let of_family = json!([{ "index": 0, "value": family, "op": "SCMP_CMP_EQ" }]);
        json!({ "names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": of_family })
    }));
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": NOT_THERE,
        "syscalls": rules,
    })
}
