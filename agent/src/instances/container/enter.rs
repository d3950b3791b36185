//! What the unit of a container runs: puts the image's files and the partition's layer together, brings the volumes where crun
//! takes them from, enters the network, and becomes crun. All of it is in namespaces of the unit, and ends with it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use camino::Utf8Path;
use nix::mount::{MsFlags, mount};
use slapbox_overlay::apart;

use super::specification::{ROOT, TOLD};
use super::{Entry, FOLDERS, LAYER, PID_FILE, RUNTIME, RUNTIME_STATE, VOLUMES};
use crate::inside::Inside;

/// What `prepare` leaves for us, in a bundle.
pub(super) const ENTRY: &str = "entry.json";
/// Where the image's files are, with the owners that the partition sees.
const LOWER: &str = "image";
/// mount(8) makes the user namespace that a mapping needs.
const MOUNT: &str = "/usr/bin/mount";
const COPY: &str = "/usr/bin/cat";
/// What programs in the node's own network are told.
const NAME_SERVERS: &str = "/etc/resolv.conf";

/// Becomes the container of a bundle.
pub fn enter(bundle: &Utf8Path) -> anyhow::Result<std::convert::Infallible> {
    let path = bundle.join(ENTRY);
    let text = fs::read(&path).with_context(|| format!("failed to read `{path}`"))?;
    let entry: Entry =
        serde_json::from_slice(&text).with_context(|| format!("failed to understand `{path}`"))?;
    put_together(bundle, &entry)?;
    tell_name_servers(bundle, &entry).context("failed to tell it the name servers")?;
    if let Some(ipv6) = entry.network {
        apart::leave_node(entry.partition.index(), ipv6).context("failed to make its network")?;
    }
    become_runtime(bundle, &entry)
}

fn put_together(bundle: &Utf8Path, entry: &Entry) -> anyhow::Result<()> {
    let (lower, root) = (bundle.join(LOWER), bundle.join(ROOT));
    for folder in [&lower, &root] {
        fs::create_dir_all(folder).with_context(|| format!("failed to make `{folder}`"))?;
    }
    let mapped = Command::new(MOUNT)
        .args(["--bind", "--options"])
        .arg(format!("ro,nosuid,nodev,X-mount.idmap={}", entry.mapping))
        .args([&entry.rootfs, &lower])
        .status()
        .with_context(|| format!("failed to run `{MOUNT}`"))?;
    ensure!(
        mapped.success(),
        "failed to map the owners of `{}`",
        entry.rootfs
    );
    let inside = Inside::open(&entry.directory).context("failed to open the partition")?;
    let open = |path: &str| {
        let opened = inside.open_folder(path);
        opened.with_context(|| format!("failed to open `{path}` of the partition"))
    };
    let (upper, work) = (
        open(&format!("{LAYER}/upper"))?,
        open(&format!("{LAYER}/work"))?,
    );
    let options = format!(
        "lowerdir={lower},upperdir={},workdir={}",
        path_of(&upper),
        path_of(&work)
    );
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("overlay"),
        root.as_std_path(),
        Some("overlay"),
        flags,
        Some(options.as_str()),
    )
    .context("failed to lay the partition's layer over the image")?;
    for name in &entry.volumes {
        let (volume, place) = (
            open(&format!("{VOLUMES}/{name}"))?,
            bundle.join(VOLUMES).join(name),
        );
        fs::create_dir_all(&place).with_context(|| format!("failed to make `{place}`"))?;
        let bound = bind(&path_of(&volume), &place);
        bound.with_context(|| format!("failed to bring the volume `{name}`"))?;
    }
    for (number, folder) in entry.folders.iter().enumerate() {
        let place = bundle.join(FOLDERS).join(number.to_string());
        fs::create_dir_all(&place).with_context(|| format!("failed to make `{place}`"))?;
        let bound = bind(folder.as_str(), &place);
        bound.with_context(|| format!("failed to bring the folder `{folder}`"))?;
    }
    Ok(())
}

fn bind(from: &str, to: &Utf8Path) -> nix::Result<()> {
    let (to, none) = (to.as_std_path(), None::<&str>);
    mount(Some(from), to, none, MsFlags::MS_BIND, none)
}

/// Names what a descriptor is of: a path of the partition's might lead elsewhere by the time that it is used.
fn path_of(folder: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", folder.as_raw_fd())
}

fn tell_name_servers(bundle: &Utf8Path, entry: &Entry) -> io::Result<()> {
    let text = match entry.network {
        Some(_) => format!("nameserver {}\n", apart::NAME_SERVER),
        None => match fs::read_to_string(NAME_SERVERS) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        },
    };
    let [(file, _), ..] = TOLD;
    File::create(bundle.join(file))?.write_all(text.as_bytes())
}

/// Images open `/dev/stdout`, which works for pipes and not for the journal's socket: a copier stands between.
fn become_runtime(bundle: &Utf8Path, entry: &Entry) -> anyhow::Result<std::convert::Infallible> {
    let (read, write) = io::pipe().context("failed to make a pipe")?;
    Command::new(COPY)
        .stdin(Stdio::from(read))
        .uid(entry.uid)
        .gid(entry.gid)
        .spawn()
        .with_context(|| format!("failed to run `{COPY}`"))?;
    let errors = write.try_clone().context("failed to make a pipe")?;
    let failure = Command::new(RUNTIME)
        .args(["--root", RUNTIME_STATE, "--cgroup-manager", "disabled"])
        .args(["run", "--detach", "--bundle", bundle.as_str()])
        .args(["--pid-file", bundle.join(PID_FILE).as_str()])
        .arg(entry.partition.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::from(write))
        .stderr(Stdio::from(errors))
        .exec();
    Err(failure).with_context(|| format!("failed to run `{RUNTIME}`"))
}
