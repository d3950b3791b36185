//! Releases on a disk of which the master says nothing.

use std::fs;
use std::time::Duration;

use super::*;
use crate::disk;
use crate::partitions::directories::RESOURCE;

struct Place {
    _keep: tempfile::TempDir,
    paths: Paths,
}

fn id(url: &str) -> ReleaseId {
    ReleaseId::of(&SoftwareUrl::new(url))
}

fn put(path: &Utf8Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    disk::replace(path, text.as_bytes()).unwrap();
}

impl Place {
    fn new() -> Self {
        let keep = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(keep.path()).unwrap();
        let paths = Paths {
            instances: root.to_owned(),
            software: root.join("software"),
            ..Paths::default()
        };
        fs::create_dir(&paths.software).unwrap();
        Self { _keep: keep, paths }
    }

    fn install(&self, url: &str, builder: Option<&str>) {
        let folder = self.paths.software.join(id(url).as_str());
        put(&folder.join(".completed"), "");
        if let Some(builder) = builder {
            put(&folder.join(".builder"), builder);
        }
    }

    fn partition(&self, index: u16, document: &str) -> Utf8PathBuf {
        let folder = self.paths.partition(PartitionName::new(index));
        put(&folder.join(RESOURCE), "{}");
        if !document.is_empty() {
            put(&folder.join(PARAMETERS), document);
        }
        folder
    }

    /// What is left, by whether something needs it.
    fn found(&self, named: &[&str], builder: Option<&str>) -> BTreeMap<ReleaseId, bool> {
        let named = named.iter().map(|url| id(url)).collect();
        let found = look(&self.paths, &named, builder.map(id)).unwrap();
        found.into_iter().map(|(id, it)| (id, it.used)).collect()
    }
}

#[test]
fn what_a_partition_a_build_or_a_release_needs_is_used() {
    let place = Place::new();
    let (now, before) = ("https://x/builder.oci.tar", "https://x/old-builder.oci.tar");
    place.install(now, None);
    place.install(before, None);
    place.install("https://x/kept.cfg", Some(before));
    place.install("https://x/wanted.cfg", Some(now));
    place.install("https://x/lost.cfg", Some("https://x/other.oci.tar"));
    place.install("https://x/other.oci.tar", None);
    for beside in [".shared/zlib/x", ".content/x", ".old-x/x", "README"] {
        put(&place.paths.software.join(beside), "");
    }
    place.partition(0, r#"{"software_release_url": "https://x/kept.cfg"}"#);
    place.partition(1, "");
    place.partition(2, "spoilt");

    let named = ["https://x/wanted.cfg"];
    let expected = BTreeMap::from([
        (id(now), true),
        (id(before), true),
        (id("https://x/kept.cfg"), true),
        (id("https://x/lost.cfg"), false),
        (id("https://x/other.oci.tar"), false),
    ]);
    assert_eq!(place.found(&named, None), expected);
    let all: Vec<&str> = [now, before, "https://x/kept.cfg", "https://x/lost.cfg"]
        .into_iter()
        .chain(["https://x/other.oci.tar", "https://x/wanted.cfg"])
        .collect();
    assert_eq!(place.found(&all, None), BTreeMap::new());
    // The builder of this box is needed whoever was built in it.
    let only = place.found(&[], Some("https://x/other.oci.tar"));
    assert!(only[&id("https://x/other.oci.tar")] && !only[&id(now)]);
}

#[test]
fn a_partition_that_cannot_be_looked_at_ends_the_look_with_its_name() {
    let place = Place::new();
    place.install("https://x/lost.cfg", None);
    let folder = place.partition(0, "");
    fs::create_dir_all(folder.join(PARAMETERS)).unwrap();
    let error = look(&place.paths, &BTreeSet::new(), None).unwrap_err();
    let said = crate::causes::in_one_line(&error);
    assert!(said.contains(folder.as_str()), "{said}");
}

#[test]
fn from_outside_it_is_seen_for_how_long_nobody_wanted_them() {
    let place = Place::new();
    place.install("https://x/lost.cfg", None);
    let mut idle = Idle::new();
    let lost = id("https://x/lost.cfg");
    let unwanted = BTreeSet::from([lost.clone()]);
    for now in [1_000_000, 1_003_600] {
        idle.hear(&unwanted, now);
    }
    idle.store(&place.paths.software).unwrap();
    let found = from_outside(&place.paths, &Desired::default()).unwrap();
    assert_eq!(found[&lost].idle, Duration::from_secs(3600));
    assert!(!found[&lost].used);
}
