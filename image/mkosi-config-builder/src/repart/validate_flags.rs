//! Settings of one partition for its flags, verity and compression that cannot all be meant. Pure.

use super::validate::{contradiction, missing};
use super::{Encrypt, Error, FileSystem, Partition, PartitionType, Verity};
use crate::Size;
use crate::specifier::{REPART, unknown};

/// The settings in which systemd-repart expands specifiers.
const EXPANDED: [&str; 7] = [
    "Label",
    "CopyBlocks",
    "CopyFiles",
    "MakeDirectories",
    "Subvolumes",
    "DefaultSubvolume",
    "SplitName",
];

impl Partition {
    pub(super) fn check_flags(&self) -> Result<(), Error> {
        let Some(kind) = self.r#type else {
            return Ok(());
        };
        for (name, flag, known) in [
            ("NoAuto", self.no_auto, kind.knows_no_auto()),
            ("ReadOnly", self.read_only, kind.knows_read_only()),
            (
                "GrowFileSystem",
                self.grow_file_system,
                kind.knows_grow_file_system(),
            ),
        ] {
            if flag.is_some() && known == Some(false) {
                return contradiction(
                    &format!("{name}= and Type={kind}"),
                    "the type has no such flag, and systemd-repart would ignore it",
                    "drop the flag",
                );
            }
        }
        let read_only = self.format.is_some_and(FileSystem::is_read_only);
        if self.grow_file_system == Some(true) && (read_only || self.read_only == Some(true)) {
            return contradiction(
                "GrowFileSystem=yes and ReadOnly=yes or a read-only Format=",
                "what is never written does not grow",
                "drop GrowFileSystem=",
            );
        }
        Ok(())
    }

    pub(super) fn check_verity(&self) -> Result<(), Error> {
        let verity = self.verity.filter(|it| *it != Verity::Off);
        let Some(verity) = verity else {
            return match &self.verity_match_key {
                Some(key) => missing(
                    &format!("VerityMatchKey={key}"),
                    "Verity=data, hash or signature",
                    "set it, or drop the key",
                ),
                None => Ok(()),
            };
        };
        if self.verity_match_key.is_none() {
            return missing(
                &format!("Verity={verity}"),
                "VerityMatchKey=",
                "the same on data, hash and signature",
            );
        }
        if self.encrypt.is_some_and(|it| it != Encrypt::Off) {
            return contradiction(
                &format!("Verity={verity} and Encrypt="),
                "systemd-repart does not do both",
                "drop Encrypt=",
            );
        }
        let filled =
            !self.copy_files.is_empty() || self.copy_blocks.is_some() || self.format.is_some();
        if verity == Verity::Data && !filled {
            return missing(
                "Verity=data",
                "Format= with CopyFiles=, or CopyBlocks=",
                "there is nothing to hash",
            );
        }
        if verity != Verity::Data && filled {
            return contradiction(
                &format!("Verity={verity} and Format=, CopyFiles= or CopyBlocks="),
                "the partition is filled from its data partition",
                "drop what fills it",
            );
        }
        if verity == Verity::Signature && (self.size_min.is_some() || self.size_max.is_some()) {
            return contradiction(
                "Verity=signature and SizeMinBytes= or SizeMaxBytes=",
                "systemd-repart sizes the signature itself",
                "drop the sizes",
            );
        }
        self.check_verity_type(verity)?;
        self.check_block_sizes()
    }

    fn check_verity_type(&self, verity: Verity) -> Result<(), Error> {
        let Some(kind) = self.r#type else {
            return Ok(());
        };
        let data = matches!(kind, PartitionType::Root(_) | PartitionType::Usr(_));
        let fits = match verity {
            Verity::Off => true,
            Verity::Data => !kind.is_verity_hash() && !kind.is_verity_signature(),
            Verity::Hash => !data && !kind.is_verity_signature(),
            Verity::Signature => !data && !kind.is_verity_hash(),
        };
        if fits {
            return Ok(());
        }
        contradiction(
            &format!("Verity={verity} and Type={kind}"),
            "the box that boots finds the parts by their types",
            "use usr, usr-verity and usr-verity-sig for data, hash and signature (or root…)",
        )
    }

    fn check_block_sizes(&self) -> Result<(), Error> {
        for (name, size) in [
            ("VerityDataBlockSizeBytes", self.verity_data_block_size),
            ("VerityHashBlockSizeBytes", self.verity_hash_block_size),
        ] {
            let fits =
                |it: Size| it.as_bytes().is_power_of_two() && (512..=4096).contains(&it.as_bytes());
            if size.is_some_and(|it| !fits(it)) {
                return Err(Error::Range {
                    setting: format!("{name}="),
                    remedy: "a power of two from 512 to 4096".to_owned(),
                });
            }
        }
        Ok(())
    }

    pub(super) fn check_compression(&self) -> Result<(), Error> {
        match (self.compression, self.format) {
            (None, _) if self.compression_level.is_some() => missing(
                "CompressionLevel=",
                "Compression=",
                "the level counts only with it",
            ),
            (Some(compression), Some(format)) if !compression.fits(format) => contradiction(
                &format!("Compression={compression} and Format={format}"),
                "the file system does not know it",
                "choose another of the two",
            ),
            (Some(compression), None) => missing(
                &format!("Compression={compression}"),
                "Format=erofs, squashfs or btrfs",
                "set it, or drop Compression=",
            ),
            _ => Ok(()),
        }
    }

    pub(super) fn check_specifiers(&self) -> Result<(), Error> {
        let section = self.section();
        for (key, value) in section.all().filter(|(key, _)| EXPANDED.contains(key)) {
            if let Some(specifier) = unknown(value, REPART) {
                return Err(Error::Range {
                    setting: format!("{key}={value}"),
                    remedy: format!(
                        "systemd-repart knows no specifier `{specifier}`; write `%%` for a percent sign"
                    ),
                });
            }
        }
        Ok(())
    }
}
