//! Lays out what a container is made from, before its unit starts: its volumes and layer in the partition, what crun is told
//! in a bundle. And takes away what is left of it afterwards.

use std::fs;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::Mode;
use slapbox_overlay::apart;

use super::enter::ENTRY;
use super::environment::{EnvironmentError, environment};
use super::specification::{Container, TOLD};
use super::user::{UserError, identity};
use super::{BUNDLES, Entry, LAYER, Mapping, RUNTIME, VOLUMES, bundle};
use crate::desired::Instance;
use crate::disk;
use crate::inside::{Inside, Ownership};
use crate::instances::confinement::Place;
use crate::partitions::users::Ids;
use crate::quotas::count_for;
use crate::software::{Release, Volume};

/// A container cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    #[error(transparent)]
    Environment(EnvironmentError),
    #[error(transparent)]
    User(UserError),
    #[error("failed to read `{path}` of its image")]
    Image {
        path: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("this node has no `{RUNTIME}`, which runs stock images: it is in the package `crun`")]
    NoRuntime,
    #[error("it exposes ports, and its partition has no IPv6")]
    NoAddress,
    #[error("failed to make its layer and where its volumes are")]
    Layer(#[source] io::Error),
    #[error("failed to make its volume `{volume}`")]
    Volume {
        volume: Volume,
        #[source]
        source: io::Error,
    },
    #[error("failed to make `{path}`")]
    Bundle {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to write what it is made from")]
    Write(#[source] disk::Error),
    #[error("failed to remove what it was made from")]
    Remove(#[source] io::Error),
    #[error("failed to end its network")]
    Network(#[source] apart::Error),
}

/// The longest list of users that is read.
const LONGEST_LIST: u64 = 1024 * 1024;

/// Makes everything that the unit needs. Nothing of the container may run.
pub fn prepare(
    place: &Place,
    instance: &Instance,
    release: &Release,
    inside: &Inside,
) -> Result<(), ContainerError> {
    let runs = &release.runs;
    if !Utf8Path::new(RUNTIME).exists() {
        return Err(ContainerError::NoRuntime);
    }
    let image = open_root(&release.rootfs);
    let image = image.map_err(|source| ContainerError::Image { path: "/", source })?;
    let (passwd, group) = (list(&image, "/etc/passwd")?, list(&image, "/etc/group")?);
    let identity = identity(&runs.user, &passwd, &group).map_err(ContainerError::User)?;
    let parameters = environment(&instance.parameters).map_err(ContainerError::Environment)?;
    let mapping = Mapping::of(place.partition, place.ids);
    let network = match (runs.exposed_ports.is_empty(), place.ipv6) {
        (true, _) => None,
        (false, None) => return Err(ContainerError::NoAddress),
        (false, Some(ipv6)) => Some(ipv6),
    };
    make_folders(inside, place).map_err(ContainerError::Layer)?;
    for volume in &runs.volumes {
        make_volume(inside, &image, volume, mapping).map_err(|source| ContainerError::Volume {
            volume: volume.clone(),
            source,
        })?;
    }
    let bundle = bundle(place.partition);
    let container = Container {
        place,
        runs,
        identity: &identity,
        mapping,
        parameters: &parameters,
        bundle: &bundle,
    };
    let entry = Entry {
        partition: place.partition,
        uid: place.ids.uid,
        gid: place.ids.gid,
        rootfs: release.rootfs.clone(),
        directory: place.directory.clone(),
        volumes: runs.volumes.iter().map(Volume::name).collect(),
        folders: place.folders.iter().map(|it| it.on_node.clone()).collect(),
        mapping: mapping.of_mount(),
        network,
    };
    write(&container, &entry)
}

/// Removes what a container was made from, and has the partition's IPv6 on the node again. It must have ended.
pub async fn clear(place: &Place) -> Result<(), ContainerError> {
    let bundle = bundle(place.partition);
    if !bundle.exists() {
        return Ok(());
    }
    if let Some(ipv6) = place.ipv6 {
        let home = apart::come_home(place.partition.index(), ipv6).await;
        home.map_err(ContainerError::Network)?;
    }
    match fs::remove_dir_all(&bundle) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ContainerError::Remove(error)),
        _ => Ok(()),
    }
}

/// What was written before is gone: an image starts from itself and its volumes.
fn make_folders(inside: &Inside, place: &Place) -> io::Result<()> {
    let ids = place.ids;
    inside.folder(".slapgrid", Ownership::of_partition(ids, 0o750))?;
    inside.remove_folder(LAYER)?;
    inside.folder(LAYER, Ownership::of_root(0o700))?;
    inside.folder(VOLUMES, Ownership::of_root(0o755))?;
    if let Some(project) = place.project {
        // Before anything is in them.
        for folder in [LAYER, VOLUMES] {
            count_for(inside.open_folder(folder)?, project)?;
        }
    }
    let upper = format!("{LAYER}/upper");
    inside.folder(&upper, Ownership::of_partition(ids, 0o755))?;
    inside.folder(&format!("{LAYER}/work"), Ownership::of_root(0o700))
}

fn make_volume(
    inside: &Inside,
    image: &OwnedFd,
    volume: &Volume,
    mapping: Mapping,
) -> io::Result<()> {
    let path = format!("{VOLUMES}/{}", volume.name());
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    match in_root(image, volume.as_str(), flags) {
        Ok(content) => inside.seed(&path, &content, |owner| mapping.on_node(owner)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let Ids { uid, gid } = mapping.on_node(Ids { uid: 0, gid: 0 });
            let mode = 0o755;
            inside.folder(&path, Ownership { uid, gid, mode })
        }
        Err(error) => Err(error),
    }
}

fn write(container: &Container<'_>, entry: &Entry) -> Result<(), ContainerError> {
    let Container { place, bundle, .. } = container;
    // crun passes through as the image's root.
    for path in [Utf8Path::new(BUNDLES), bundle] {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(path);
        made.map_err(|source| ContainerError::Bundle {
            path: path.to_owned(),
            source,
        })?;
    }
    let name = place.partition;
    let address = place.ipv6.map(|ipv6| format!("{ipv6} {name}\n"));
    let hosts = format!(
        "127.0.0.1 localhost\n::1 localhost ip6-localhost\n{}",
        address.unwrap_or_default()
    );
    let [_, hosts_file, name_file] = TOLD.map(|(file, _)| bundle.join(file));
    let text = |value| serde_json::to_vec_pretty(&value).expect("texts become JSON");
    let entry = serde_json::to_value(entry).expect("texts become JSON");
    // What an instance is told may be a secret.
    disk::replace_private(
        &bundle.join("config.json"),
        &text(container.specification()),
    )
    .and_then(|()| disk::replace_private(&bundle.join(ENTRY), &text(entry)))
    .and_then(|()| disk::replace(&hosts_file, hosts.as_bytes()))
    .and_then(|()| disk::replace(&name_file, format!("{name}\n").as_bytes()))
    .map_err(ContainerError::Write)
}

fn open_root(rootfs: &Utf8Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(
        AT_FDCWD,
        rootfs.as_std_path(),
        flags,
        Mode::empty(),
    )?)
}

/// Opens a path of the image as its programs would see it.
fn in_root(image: &OwnedFd, path: &str, flags: OFlag) -> io::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    Ok(openat2(image, path, how)?)
}

/// Reads a list of the image's; one that is not there is empty.
fn list(image: &OwnedFd, path: &'static str) -> Result<String, ContainerError> {
    let mut text = Vec::new();
    let read = in_root(image, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK).and_then(|file| {
        fs::File::from(file)
            .take(LONGEST_LIST)
            .read_to_end(&mut text)
    });
    match read {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ContainerError::Image {
            path,
            source: error,
        }),
        _ => Ok(String::from_utf8_lossy(&text).into_owned()),
    }
}
