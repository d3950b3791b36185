//! Partition files of systemd-repart 257 (`repart.d/*.conf`), one by one and as a disk's layout.

mod choice;
mod error;
mod kind;
mod layout;
mod validate;
mod validate_flags;
mod validate_layout;
mod validate_verity;
mod value;

use std::fmt;

pub use choice::*;
pub use error::Error;
pub use kind::{Cpu, PartitionType};
pub use layout::{Layout, Stem};
pub use value::{CopyBlocks, CopyFiles, Flags, Label, PartitionUuid, SplitName, Symlink};

use crate::path::ImagePath;
use crate::section::{Layout as Lines, Section, Sectioned, print, section};
use crate::{Item, Name, Size, Text};

section! {
    /// One partition: `[Partition]` of a file in `repart.d`.
    ///
    /// ```
    /// use mkosi_config_builder::Size;
    /// use mkosi_config_builder::repart::{FileSystem, Partition, PartitionType};
    /// let esp = Partition {
    ///     r#type: Some(PartitionType::Esp),
    ///     format: Some(FileSystem::Vfat),
    ///     size_min: Some(Size::gib(1)),
    ///     size_max: Some(Size::gib(1)),
    ///     ..Partition::default()
    /// };
    /// esp.validate()?;
    /// assert_eq!(
    ///     esp.to_string(),
    ///     "[Partition]\nType=esp\nSizeMinBytes=1G\nSizeMaxBytes=1G\nFormat=vfat\n",
    /// );
    /// # Ok::<(), mkosi_config_builder::repart::Error>(())
    /// ```
    #[derive(Default)]
    pub struct Partition ["Partition"] {
        r#type: Option<PartitionType> = "Type",
        label: Option<Label> = "Label",
        uuid: Option<PartitionUuid> = "UUID",
        /// Smaller is more important; above 0 it may be left out on a small disk.
        priority: Option<i32> = "Priority",
        weight: Option<u32> = "Weight",
        padding_weight: Option<u32> = "PaddingWeight",
        size_min: Option<Size> = "SizeMinBytes",
        size_max: Option<Size> = "SizeMaxBytes",
        padding_min: Option<Size> = "PaddingMinBytes",
        padding_max: Option<Size> = "PaddingMaxBytes",
        copy_blocks: Option<CopyBlocks> = "CopyBlocks",
        format: Option<FileSystem> = "Format",
        copy_files: Vec<CopyFiles> = "CopyFiles",
        exclude_files: Vec<ImagePath> = "ExcludeFiles",
        exclude_files_target: Vec<ImagePath> = "ExcludeFilesTarget",
        make_directories: Vec<ImagePath> = "MakeDirectories",
        make_symlinks: Vec<Symlink> = "MakeSymlinks",
        subvolumes: Vec<ImagePath> = "Subvolumes",
        default_subvolume: Option<ImagePath> = "DefaultSubvolume",
        encrypt: Option<Encrypt> = "Encrypt",
        verity: Option<Verity> = "Verity",
        verity_match_key: Option<Name> = "VerityMatchKey",
        verity_data_block_size: Option<Size> = "VerityDataBlockSizeBytes",
        verity_hash_block_size: Option<Size> = "VerityHashBlockSizeBytes",
        factory_reset: Option<bool> = "FactoryReset",
        flags: Option<Flags> = "Flags",
        no_auto: Option<bool> = "NoAuto",
        read_only: Option<bool> = "ReadOnly",
        grow_file_system: Option<bool> = "GrowFileSystem",
        split_name: Option<SplitName> = "SplitName",
        minimize: Option<Minimize> = "Minimize",
        mount_point: Vec<Text> = "MountPoint",
        encrypted_volume: Option<Text> = "EncryptedVolume",
        compression: Option<Compression> = "Compression",
        compression_level: Option<Item> = "CompressionLevel",
        supplement_for: Option<Name> = "SupplementFor",
    }
}

impl Partition {
    /// Returns a partition of this type, with nothing else said.
    pub fn new(r#type: PartitionType) -> Self {
        Self {
            r#type: Some(r#type),
            ..Self::default()
        }
    }

    /// Sets both bounds of the size to the same.
    pub fn sized(self, size: Size) -> Self {
        Self {
            size_min: Some(size),
            size_max: Some(size),
            ..self
        }
    }

    /// Returns the one section of the file.
    pub fn section(&self) -> Section {
        Sectioned::section(self)
    }

    /// Prints the file with a comment before it that says what the partition holds and who writes it.
    pub fn with_comment(&self, comment: &Text) -> String {
        format!("# {comment}\n\n{self}")
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, None, &[self.section()], Lines::Repeated)
    }
}
