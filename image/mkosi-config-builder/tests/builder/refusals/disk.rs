//! Partitions and disks that cannot be meant.

use mkosi_config_builder::mkosi::SectorSize;
use mkosi_config_builder::repart::{
    Compression, CopyBlocks, Encrypt, FileSystem, Flags, Layout, Minimize, Partition,
    PartitionType, Verity,
};
use mkosi_config_builder::{Size, list};

use super::refused;
use crate::image;

fn usr() -> Partition {
    image::slot_a().1
}

/// Checks one partition that is the product's `/usr` but for some change.
fn no(change: impl FnOnce(&mut Partition), words: &[&str]) {
    let mut partition = usr();
    change(&mut partition);
    refused(partition.validate(), words);
}

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
fn sizes_that_cannot_be_are_refused() {
    no(
        |it| it.size_min = Some(Size::gib(2)),
        &[
            "SizeMinBytes=2G and SizeMaxBytes=1536M",
            "least is more than the most",
        ],
    );
    no(
        |it| (it.padding_min, it.padding_max) = (Some(Size::gib(1)), Some(Size::mib(1))),
        &["PaddingMinBytes=1G and PaddingMaxBytes=1M"],
    );
    no(
        |it| it.minimize = Some(Minimize::Best),
        &["Minimize=best", "SizeMinBytes=1536M", "fixed size"],
    );
    no(
        |it| it.weight = Some(1_000_001),
        &["Weight=1000001", "0 to 1000000"],
    );
    no(|it| it.r#type = None, &["needs Type="]);
}

#[test]
fn two_sources_of_one_partition_are_refused() {
    no(
        |it| it.copy_blocks = Some(CopyBlocks::Auto),
        &["CopyBlocks= and CopyFiles="],
    );
    no(
        |it| {
            it.copy_files.clear();
            it.copy_blocks = Some(CopyBlocks::Auto);
        },
        &["CopyBlocks= and Format="],
    );
    no(
        |it| it.format = Some(FileSystem::Swap),
        &["swap holds no files"],
    );
    let wrong_esp = Partition {
        format: Some(FileSystem::Ext4),
        ..Partition::new(PartitionType::Esp)
    };
    refused(wrong_esp.validate(), &["Type=esp and Format=", "vfat"]);
    let nothing = Partition {
        minimize: Some(Minimize::Guess),
        ..Partition::new(PartitionType::ROOT)
    };
    refused(
        nothing.validate(),
        &["Minimize= needs Format= or Verity=hash"],
    );
    let best = Partition {
        format: Some(FileSystem::Ext4),
        minimize: Some(Minimize::Best),
        ..Partition::new(PartitionType::ROOT)
    };
    refused(best.validate(), &["Minimize=best and Format=", "read-only"]);
}

#[test]
fn settings_that_the_file_system_or_type_does_not_have_are_refused() {
    no(
        |it| it.compression = Some(Compression::Gzip),
        &["Compression=gzip and Format=erofs"],
    );
    no(
        |it| (it.compression, it.compression_level) = (None, Some("3".parse().unwrap())),
        &["CompressionLevel= needs Compression="],
    );
    no(
        |it| it.subvolumes = list(["/a"]).unwrap(),
        &["Subvolumes=", "Format=btrfs"],
    );
    let default = Partition {
        format: Some(FileSystem::Btrfs),
        default_subvolume: Some("/a".parse().unwrap()),
        ..Partition::new(PartitionType::ROOT)
    };
    refused(default.validate(), &["DefaultSubvolume=/a", "Subvolumes="]);
    no(
        |it| it.grow_file_system = Some(true),
        &["GrowFileSystem=yes"],
    );
    let esp = Partition {
        read_only: Some(true),
        ..Partition::new(PartitionType::Esp)
    };
    refused(esp.validate(), &["ReadOnly= and Type=esp", "ignore"]);
    no(
        |it| it.label = Some("a%z".parse().unwrap()),
        &["Label=a%z", "`%z`"],
    );
    Partition {
        flags: Some(Flags(1)),
        ..usr()
    }
    .validate()
    .unwrap();
}

#[test]
fn verity_without_its_partner_is_refused() {
    no(
        |it| it.verity_match_key = None,
        &["Verity=data needs VerityMatchKey="],
    );
    no(|it| it.verity = None, &["VerityMatchKey=usr needs Verity="]);
    no(
        |it| it.encrypt = Some(Encrypt::Tpm2),
        &["Verity=data and Encrypt="],
    );
    no(
        |it| it.verity = Some(Verity::Hash),
        &["Verity=hash and Format=", "filled from its data"],
    );
    no(
        |it| it.r#type = Some(PartitionType::USR_VERITY),
        &["Verity=data and Type=usr-verity"],
    );
    no(
        |it| it.verity_data_block_size = Some(Size::bytes(1000)),
        &["VerityDataBlockSizeBytes=", "power of two"],
    );
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
                    ..usr()
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
