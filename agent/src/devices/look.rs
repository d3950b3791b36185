//! What the kernel says of block devices: `/dev`, sysfs, and the mounts of the node.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::stat::{major, minor};

/// Major and minor.
pub(super) type Number = (u64, u64);

/// A device as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Its file, after all links.
    pub(super) node: Utf8PathBuf,
    pub(super) number: Number,
    /// The disk that it is a part of, or itself.
    pub(super) disk: Number,
    pub(super) uid: u32,
    /// Not so of anything else that has a name below `/dev`.
    pub(super) is_block: bool,
}

const SYSFS: &str = "/sys/dev/block";
const MOUNTS: &str = "/proc/self/mountinfo";
/// Where the system is.
const SYSTEM: [&str; 6] = ["/", "/usr", "/var", "/srv", "/boot", "/efi"];

/// Looks at a device; nothing if there is none of that name.
pub(super) fn find(device: &Utf8Path) -> io::Result<Option<Block>> {
    let (node, found) = match device.canonicalize_utf8().and_then(|node| {
        let found = fs::metadata(&node)?;
        Ok((node, found))
    }) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    let number = (major(found.rdev()), minor(found.rdev()));
    let is_block = found.file_type().is_block_device();
    Ok(Some(Block {
        disk: if is_block { disk_of(number)? } else { number },
        node,
        number,
        uid: found.uid(),
        is_block,
    }))
}

/// Returns whether the kernel itself has the device, or a part of it, in use: mounted, as swap, in a volume.
pub(super) fn is_busy(node: &Utf8Path) -> io::Result<bool> {
    // Source: open(2): with O_EXCL a block device that the system uses is not opened.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_EXCL);
    match options.open(node) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Ok(true),
        Err(error) => Err(error),
    }
}

/// Gives a device's file to a user; its group stays `disk`, which nobody is in.
pub(super) fn own(node: &Utf8Path, uid: u32) -> io::Result<()> {
    std::os::unix::fs::lchown(node, Some(uid), None)
}

/// Returns the disks that the system is on, through all volumes.
pub(super) fn system_disks() -> io::Result<BTreeSet<Number>> {
    let mounts = fs::read_to_string(MOUNTS)?;
    let mut disks = BTreeSet::new();
    for number in system_numbers(&mounts) {
        descend(number, &mut disks)?;
    }
    Ok(disks)
}

/// Returns the devices that the system is mounted from, as the kernel lists mounts.
pub(super) fn system_numbers(mounts: &str) -> BTreeSet<Number> {
    let number = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let (number, place) = (fields.get(2)?, fields.get(4)?);
        let (major, minor) = number.split_once(':')?;
        SYSTEM.contains(place).then_some(())?;
        match major.parse().ok()? {
            // What has no device of its own may name one.
            0 => {
                let after = fields.iter().position(|field| *field == "-")?;
                let source = Utf8Path::new(fields.get(after + 2)?);
                let found = source
                    .starts_with("/dev")
                    .then(|| fs::metadata(source).ok())??;
                let is_block = found.file_type().is_block_device();
                is_block.then(|| (self::major(found.rdev()), self::minor(found.rdev())))
            }
            major => Some((major, minor.parse().ok()?)),
        }
    };
    mounts.lines().filter_map(number).collect()
}

fn descend(number: Number, disks: &mut BTreeSet<Number>) -> io::Result<()> {
    let slaves = Utf8PathBuf::from(format!("{}/slaves", place(number)));
    let below = match slaves.read_dir_utf8() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        below => Some(below?),
    };
    let mut is_lowest = true;
    for slave in below.into_iter().flatten() {
        is_lowest = false;
        descend(read_number(&slave?.path().join("dev"))?, disks)?;
    }
    if is_lowest {
        disks.insert(disk_of(number)?);
    }
    Ok(())
}

fn disk_of(number: Number) -> io::Result<Number> {
    let place = place(number);
    if !Utf8Path::new(&format!("{place}/partition")).exists() {
        return Ok(number);
    }
    read_number(Utf8Path::new(&format!("{place}/../dev")))
}

fn place((major, minor): Number) -> String {
    format!("{SYSFS}/{major}:{minor}")
}

fn read_number(path: &Utf8Path) -> io::Result<Number> {
    let text = fs::read_to_string(path)?;
    let number = text.trim().split_once(':').and_then(|(major, minor)| {
        let number = (major.parse().ok()?, minor.parse().ok()?);
        Some(number)
    });
    number.ok_or_else(|| io::Error::other(format!("`{path}` holds no number of a device")))
}
