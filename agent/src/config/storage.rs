//! The part of the document about what partitions may have of the node's disks.

use std::collections::BTreeSet;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use toml::Spanned;

use super::mistake::Mistake;

/// What partitions may have of the node's disks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Storage {
    /// Where disks are mounted on which each partition has a folder.
    pub homes: Vec<Utf8PathBuf>,
    /// The block devices that partitions may ask for.
    pub devices: Vec<Utf8PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    #[serde(default)]
    homes: Vec<Spanned<String>>,
    #[serde(default)]
    devices: Vec<Spanned<String>>,
}

pub(super) fn check(text: &str, table: Option<Table>) -> Result<Storage, Mistake> {
    let Some(table) = table else {
        return Ok(Storage::default());
    };
    let mut all = BTreeSet::new();
    let mut paths = |values: &[Spanned<String>], fits: fn(&Utf8Path) -> bool, remedy: &str| {
        let path = |value: &Spanned<String>| {
            let wrong = |problem| Mistake::at(text, value.span().start, problem, remedy);
            let path = Utf8Path::new(value.get_ref());
            if !is_plain(path) || !fits(path) {
                return Err(wrong("this cannot be the place of a disk"));
            }
            if !all.insert(path.to_owned()) {
                return Err(wrong("this is there twice"));
            }
            Ok(path.to_owned())
        };
        values.iter().map(path).collect::<Result<Vec<_>, _>>()
    };
    Ok(Storage {
        homes: paths(
            &table.homes,
            |path| !path.starts_with("/dev"),
            "write where a disk is mounted, for example \"/mnt/disk1\"",
        )?,
        devices: paths(
            &table.devices,
            is_device,
            "write for example \"/dev/disk/by-id/ata-DISK_SERIAL\"",
        )?,
    })
}

/// Whether a path can be a device's.
pub(crate) fn is_device(path: &Utf8Path) -> bool {
    is_plain(path) && path.starts_with("/dev") && path != "/dev"
}

/// Whether a path names one place, below `/`, in the one way to write it.
fn is_plain(path: &Utf8Path) -> bool {
    let mut parts = path.components();
    let is_name = |part: Utf8Component<'_>| matches!(part, Utf8Component::Normal(name) if !name.contains(char::is_control));
    parts.next() == Some(Utf8Component::RootDir)
        && parts.clone().next().is_some()
        && parts.all(is_name)
        && path.components().collect::<Utf8PathBuf>().as_str() == path.as_str()
}
