//! The disk as it leaves the build: ESP, two slots of the system, the seed. The root is made behind it at first boot.

use anyhow::Result;
use mkosi_config_builder::repart::{
    Compression, FileSystem, Label, Layout, Partition, PartitionType, Stem, Verity,
};
use mkosi_config_builder::{Size, Text, list};

use crate::stamp;

/// Space of a `/usr` slot. An image that outgrows it cannot be installed by an update, so it never shrinks.
const USR: Size = Size::mib(512);
/// dm-verity's hashes of a slot: 1/128 of it, and some.
const VERITY: Size = Size::mib(8);
/// Room for the unified kernel images of several versions; with less, FAT's clusters are too few for some firmware.
const ESP: Size = Size::mib(512);
/// One tar with one document.
const SEED: Size = Size::mib(1);

/// Returns the partitions in the order they have on the disk.
pub(crate) fn disk(version: &str) -> Result<Layout> {
    let mut layout = Layout::default();
    let mut add = |number, name, comment: &str, partition| -> Result<()> {
        layout.add(Stem::new(number, name)?, Text::new(comment)?, partition);
        Ok(())
    };
    add(
        0,
        "esp",
        "The boot loader and the unified kernel images; mkosi writes it, updates add to it.",
        esp()?,
    )?;
    add(
        10,
        "usr-a",
        "The system, first slot; never written once made.",
        usr(version)?,
    )?;
    add(
        11,
        "verity-a",
        "The hashes that the first slot is checked by.",
        verity(version)?,
    )?;
    add(
        20,
        "usr-b",
        "The second slot; the first update writes it.",
        empty("usr", USR)?,
    )?;
    add(
        21,
        "verity-b",
        "The hashes of the second slot.",
        empty("usr-verity", VERITY)?,
    )?;
    add(
        30,
        "seed",
        "Zeros, or the tar that `cargo image stamp` writes and the agent erases.",
        seed()?,
    )?;
    layout.validate()?;
    Ok(layout)
}

fn esp() -> Result<Partition> {
    Ok(Partition {
        format: Some(FileSystem::Vfat),
        copy_files: list(["/boot:/", "/efi:/"])?,
        ..Partition::new(PartitionType::Esp).sized(ESP)
    })
}

fn usr(version: &str) -> Result<Partition> {
    Ok(Partition {
        label: Some(Label::new(format!("slapbox_{version}"))?),
        format: Some(FileSystem::Erofs),
        compression: Some(Compression::Zstd),
        copy_files: list(["/usr:/"])?,
        verity: Some(Verity::Data),
        verity_match_key: Some("usr".parse()?),
        split_name: Some("usr".parse()?),
        ..Partition::new("usr".parse()?).sized(USR)
    })
}

fn verity(version: &str) -> Result<Partition> {
    Ok(Partition {
        label: Some(Label::new(format!("slapbox_{version}_verity"))?),
        verity: Some(Verity::Hash),
        verity_match_key: Some("usr".parse()?),
        split_name: Some("verity".parse()?),
        ..Partition::new("usr-verity".parse()?).sized(VERITY)
    })
}

fn empty(kind: &str, size: Size) -> Result<Partition> {
    Ok(Partition {
        label: Some(Label::empty()),
        split_name: Some("-".parse()?),
        ..Partition::new(kind.parse()?).sized(size)
    })
}

fn seed() -> Result<Partition> {
    Ok(Partition {
        label: Some(Label::new(stamp::LABEL)?),
        ..empty("linux-generic", SEED)?
    })
}
