//! Partitions that cannot be meant.

use mkosi_config_builder::repart::{
    Compression, CopyBlocks, Encrypt, FileSystem, Flags, Minimize, Partition, PartitionType, Verity,
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
