//! systemd-repart reads our partition files without a complaint and lays them out in our order.

use std::process::Command;

use mkosi_config_builder::repart::{Layout, Partition, PartitionType, Stem};
use mkosi_config_builder::{FileKind, Tree};

use super::{program, run, skip, systemd_version, written};
use crate::image;

/// Settings that came after systemd 252, which Debian 12 has.
const YOUNG: [&str; 13] = [
    "Minimize",
    "Compression",
    "CompressionLevel",
    "Subvolumes",
    "DefaultSubvolume",
    "ExcludeFiles",
    "ExcludeFilesTarget",
    "MakeSymlinks",
    "MountPoint",
    "EncryptedVolume",
    "SupplementFor",
    "VerityDataBlockSizeBytes",
    "VerityHashBlockSizeBytes",
];

/// Returns what systemd-repart says of a layout, standard output and complaints; `None` if there is no systemd-repart.
fn repart(layout: &Layout) -> Option<(String, Vec<String>)> {
    let tool = program("SYSTEMD_REPART", "systemd-repart");
    let Some(version) = systemd_version(&tool) else {
        skip("no systemd-repart; set SYSTEMD_REPART");
        return None;
    };
    let folder = written(&layout.tree("repart.d").unwrap());
    for source in ["efi", "boot", "usr/share"] {
        std::fs::create_dir_all(folder.path().join("root").join(source)).unwrap();
    }
    let said = run(Command::new(tool)
        .args([
            "--dry-run=yes",
            "--empty=create",
            "--size=auto",
            "--no-pager",
        ])
        .arg("--seed=01234567-89ab-cdef-0123-456789abcdef")
        .arg(format!(
            "--definitions={}",
            folder.path().join("repart.d").display()
        ))
        .arg(format!("--root={}", folder.path().join("root").display()))
        .arg(folder.path().join("disk.raw")))?;
    let young = |line: &str| {
        version < 257
            && YOUNG
                .iter()
                .any(|it| line.contains(&format!("Unknown key '{it}'")))
    };
    let complaint = |line: &&str| {
        ["gnoring", "refusing", "cannot", "must be", "nvalid"]
            .iter()
            .any(|it| line.contains(it))
    };
    let complaints = said.err.lines().filter(complaint).filter(|it| !young(it));
    Some((said.out, complaints.map(str::to_owned).collect()))
}

#[test]
fn systemd_repart_takes_the_products_disk() {
    let Some((out, complaints)) = repart(&image::disk()) else {
        return;
    };
    assert_eq!(complaints, Vec::<String>::new());
    let files = [
        "10-esp.conf",
        "20-usr-verity-a.conf",
        "21-usr-a.conf",
        "30-usr-verity-b.conf",
        "31-usr-b.conf",
    ];
    let places: Vec<Option<usize>> = files.iter().map(|file| out.find(file)).collect();
    assert!(places.is_sorted() && places[0].is_some(), "{out}");
}

#[test]
fn systemd_repart_knows_every_type_by_the_name_we_print() {
    let mut layout = Layout::default();
    for (number, kind) in image::partition_types().into_iter().enumerate() {
        let stem = Stem::new(u8::try_from(number).unwrap(), "any").unwrap();
        layout.add(stem, "one of each".parse().unwrap(), Partition::new(kind));
    }
    let Some((out, complaints)) = repart(&layout) else {
        return;
    };
    assert_eq!(complaints, Vec::<String>::new());
    for (stem, (_, partition)) in &layout.partitions {
        let Some(kind) = partition
            .r#type
            .filter(|it| !matches!(it, PartitionType::Uuid(_)))
        else {
            continue;
        };
        let line = out
            .lines()
            .find(|line| line.contains(&format!("{stem}.conf")))
            .unwrap_or_default();
        let base = kind.to_string();
        let base = base.split('-').next().unwrap();
        assert!(line.starts_with(base), "{kind} became {line:?}");
    }
}

#[test]
fn systemd_repart_knows_every_setting_that_we_have() {
    let tool = program("SYSTEMD_REPART", "systemd-repart");
    if systemd_version(&tool).is_none_or(|it| it < 257) {
        return skip("it is written for systemd-repart 257; set SYSTEMD_REPART");
    }
    let (_, keys) = FileKind::Repart.sections()[0];
    let unknown = |key: &&str| {
        let mut tree = Tree::default();
        tree.add("10-one.conf", format!("[Partition]\n{key}=\n"))
            .unwrap();
        let folder = written(&tree);
        let said = run(Command::new(&tool)
            .args(["--dry-run=yes", "--empty=create", "--size=64M"])
            .arg(format!("--definitions={}", folder.path().display()))
            .arg(folder.path().join("disk.raw")));
        said.unwrap().err.contains("Unknown key")
    };
    assert!(unknown(&"NoSuchKey"));
    assert_eq!(
        keys.iter().copied().filter(unknown).collect::<Vec<_>>(),
        Vec::<&str>::new()
    );
}
