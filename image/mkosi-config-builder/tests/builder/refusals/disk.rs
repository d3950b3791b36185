//! Disks whose partitions cannot lie together.

use mkosi_config_builder::mkosi::SectorSize;
use mkosi_config_builder::repart::{FileSystem, Layout, Minimize, Partition, PartitionType};
use mkosi_config_builder::{Size, list};

use super::refused;
use crate::image;

/// Checks a disk that is the product's but for some change.
fn no_disk(change: impl FnOnce(&mut Layout), words: &[&str]) {
    let mut layout = image::disk();
    change(&mut layout);
    refused(layout.validate(), words);
}

fn change(layout: &mut Layout, stem: &str, change: impl FnOnce(&mut Partition)) {
    change(&mut layout.partitions.get_mut(&stem.parse().unwrap()).unwrap().1);
}

#[test]
fn verity_partners_that_do_not_fit_are_refused() {
    no_disk(
        |it| drop(it.partitions.remove(&"20-usr-verity-a".parse().unwrap())),
        &["VerityMatchKey=usr needs a partition with Verity=hash and the same key"],
    );
    no_disk(
        |it| {
            change(it, "20-usr-verity-a", |it| {
                it.verity_match_key = Some("other".parse().unwrap())
            })
        },
        &["VerityMatchKey=other needs a partition with Verity=data"],
    );
    no_disk(
        |it| {
            change(it, "31-usr-b", |it| {
                *it = Partition {
                    label: None,
                    ..image::slot_a().1
                }
            })
        },
        &["two partitions with Verity=data and VerityMatchKey=usr"],
    );
    no_disk(
        |it| change(it, "21-usr-a", |it| it.priority = Some(1)),
        &["Priority=", "VerityMatchKey=usr"],
    );
    no_disk(
        |it| {
            change(it, "20-usr-verity-a", |it| {
                *it = it.clone().sized(Size::mib(12))
            })
        },
        &[
            "SizeMaxBytes=12M of `20-usr-verity-a`",
            "`21-usr-a` at its SizeMaxBytes=1536M",
            "use 12392K or more",
        ],
    );
    no_disk(
        |it| {
            change(it, "20-usr-verity-a", |it| {
                (it.minimize, it.size_min, it.size_max) = (Some(Minimize::Best), None, None)
            })
        },
        &["Minimize= of `20-usr-verity-a`", "`21-usr-a`"],
    );
}

#[test]
fn a_small_esp_is_refused() {
    let esp = |it: &mut Layout, size| change(it, "10-esp", |it| *it = it.clone().sized(size));
    no_disk(
        |it| esp(it, Size::mib(511)),
        &[
            "SizeMaxBytes=511M",
            "`10-esp`",
            "4096 bytes",
            "FAT32",
            "512M or more",
        ],
    );
    no_disk(
        |it| {
            it.sector_size = Some(SectorSize::B512);
            esp(it, Size::mib(63));
        },
        &["512 bytes", "64M or more"],
    );
    no_disk(
        |it| change(it, "10-esp", |it| (it.size_min, it.size_max) = (None, None)),
        &["the missing SizeMinBytes="],
    );
    let mut enough = image::disk();
    esp(&mut enough, Size::mib(512));
    enough.validate().unwrap();
}

#[test]
fn names_and_numbers_must_be_told_apart() {
    no_disk(
        |it| {
            it.place(21, "zzz", "again", Partition::new(PartitionType::Home))
                .unwrap()
        },
        &["`21-usr-a` and `21-zzz`", "same number"],
    );
    no_disk(
        |it| {
            change(it, "31-usr-b", |it| {
                it.label = Some("box_1".parse().unwrap())
            })
        },
        &["`21-usr-a` and `31-usr-b`", "Label=box_1"],
    );
    // Two empty slots share their label: that is how sysupdate knows them.
    image::disk().validate().unwrap();
}

#[test]
fn supplements_must_have_their_target() {
    let home = |name: &str| Partition {
        supplement_for: Some(name.parse().unwrap()),
        ..Partition::new(PartitionType::Home)
    };
    no_disk(
        |it| it.place(60, "home", "people", home("50-root")).unwrap(),
        &["SupplementFor=50-root", "no partition"],
    );
    no_disk(
        |it| it.place(60, "home", "people", home("60-home")).unwrap(),
        &["names itself"],
    );
    no_disk(
        |it| it.place(60, "home", "people", home("21-usr-a")).unwrap(),
        &["Verity="],
    );
}

#[test]
fn a_new_root_without_a_folder_for_usr_is_refused() {
    let root = |folders: &[&str]| Partition {
        format: Some(FileSystem::Ext4),
        make_directories: list(folders).unwrap(),
        ..Partition::new(PartitionType::ROOT)
    };
    no_disk(
        |it| {
            it.place(50, "root", "all that changes", root(&["/var"]))
                .unwrap()
        },
        &["`50-root`", "MakeDirectories=/usr"],
    );
    let mut layout = image::disk();
    layout
        .place(50, "root", "all that changes", root(&["/var", "/usr"]))
        .unwrap();
    layout.validate().unwrap();
}
