//! Software that an instance has built itself: a SlapOS inside of a partition may have parts of the node's. As with the peer, a file
//! `slapos.cfg` tells where it is. What a partition hides deeper than anybody would is its own loss.

use std::collections::BTreeSet;
use std::io;

use camino::Utf8Path;

use super::named_by_release;
use super::references::{Part, Parts};
use crate::desired::PartitionName;
use crate::inside::{Inside, Kind};
use crate::software::SoftwareError;

const CONFIGURATION: &str = "slapos.cfg";
const LONGEST: u64 = 1024 * 1024;
const DEEPEST: usize = 8;
/// As many folders of a partition are looked into.
const MOST_FOLDERS: usize = 20_000;

/// Returns the parts that software in partitions names.
pub(super) fn named(instances: &Utf8Path, parts: &Parts) -> Result<BTreeSet<Part>, SoftwareError> {
    let failed = |source| SoftwareError::Parts {
        path: instances.to_owned(),
        source,
    };
    let mut named = BTreeSet::new();
    for entry in instances.read_dir_utf8().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().parse::<PartitionName>().is_err() {
            continue;
        }
        let partition = Inside::open(entry.path()).map_err(failed)?;
        for root in software_roots(&partition, entry.path()) {
            for release in folders(&partition, &root) {
                // What is no release, or is spoilt, names nothing.
                let found = partition.below(&release);
                let found = found.and_then(|inside| named_by_release(&inside, parts));
                named.extend(found.unwrap_or_default());
            }
        }
    }
    Ok(named)
}

/// The folders of releases that the configurations in a partition name, from its own folder on.
fn software_roots(partition: &Inside, path: &Utf8Path) -> BTreeSet<String> {
    let mut roots = BTreeSet::new();
    let mut next = vec![(".".to_owned(), 0)];
    let mut seen = 0;
    while let Some((folder, depth)) = next.pop() {
        seen += 1;
        if seen > MOST_FOLDERS {
            break;
        }
        let listed = partition.list(&folder);
        for (name, kind) in listed.unwrap_or_default() {
            let below = format!("{folder}/{name}");
            match kind {
                Kind::Folder if depth < DEEPEST => next.push((below, depth + 1)),
                Kind::File if name == CONFIGURATION => {
                    let text = partition.read(&below, LONGEST);
                    let text = text.ok().flatten().unwrap_or_default();
                    roots.extend(software_root(&String::from_utf8_lossy(&text), path));
                }
                Kind::Folder | Kind::File | Kind::Link | Kind::Other => {}
            }
        }
    }
    roots
}

/// Reads where a configuration has its releases, if that is in the partition.
fn software_root(text: &str, partition: &Utf8Path) -> Option<String> {
    let mut options = text.lines().filter_map(|line| line.split_once('='));
    let (_, root) = options.find(|(name, _)| name.trim() == "software_root")?;
    let root = Utf8Path::new(root.trim()).strip_prefix(partition).ok()?;
    Some(root.to_string())
}

fn folders(partition: &Inside, root: &str) -> Vec<String> {
    let listed: io::Result<Vec<(String, Kind)>> = partition.list(root);
    let folders = listed.unwrap_or_default().into_iter();
    let folders = folders.filter(|(_, kind)| *kind == Kind::Folder);
    folders.map(|(name, _)| format!("{root}/{name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_says_where_its_software_is() {
        let partition = Utf8Path::new("/srv/slapgrid/slappart0");
        for (text, root) in [
            (
                "[slapos]\nsoftware_root = /srv/slapgrid/slappart0/srv/software\n",
                Some("srv/software"),
            ),
            (
                "[slapos]\nsoftware_root=/srv/slapgrid/slappart0/s",
                Some("s"),
            ),
            ("software_root = /srv/slapgrid/slappart1/s", None),
            ("software_root = /opt/slapgrid", None),
            ("#software_root = /srv/slapgrid/slappart0/s", None),
            ("", None),
        ] {
            assert_eq!(software_root(text, partition).as_deref(), root, "{text}");
        }
    }
}
