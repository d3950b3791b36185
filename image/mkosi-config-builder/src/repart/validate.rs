//! Settings of one partition that cannot all be meant. Pure.

use super::{Error, FileSystem, Minimize, Partition, PartitionType, Verity};
use crate::Size;

impl Partition {
    /// Refuses settings that contradict each other or lack one they need.
    pub fn validate(&self) -> Result<(), Error> {
        if self.r#type.is_none() {
            return missing("a partition", "Type=", "systemd-repart takes none without");
        }
        self.check_sizes()?;
        self.check_content()?;
        self.check_format()?;
        self.check_flags()?;
        self.check_verity()?;
        self.check_compression()?;
        self.check_specifiers()
    }

    fn check_sizes(&self) -> Result<(), Error> {
        bounds("Size", self.size_min, self.size_max)?;
        bounds("Padding", self.padding_min, self.padding_max)?;
        for (name, weight) in [
            ("Weight", self.weight),
            ("PaddingWeight", self.padding_weight),
        ] {
            if weight.is_some_and(|it| it > 1_000_000) {
                return Err(Error::Range {
                    setting: format!("{name}={}", weight.unwrap_or_default()),
                    remedy: "0 to 1000000".to_owned(),
                });
            }
        }
        let minimize = self.minimize.filter(|it| *it != Minimize::Off);
        match (minimize, self.size_min) {
            (Some(minimize), Some(min)) if self.size_max == Some(min) => contradiction(
                &format!("Minimize={minimize} and SizeMinBytes={min} with the same SizeMaxBytes="),
                "a fixed size cannot be made smaller",
                "drop Minimize=, or SizeMinBytes=",
            ),
            _ => Ok(()),
        }
    }

    fn check_content(&self) -> Result<(), Error> {
        let fills = [
            ("CopyFiles=", !self.copy_files.is_empty()),
            ("Format=", self.format.is_some()),
            ("MakeDirectories=", !self.make_directories.is_empty()),
            ("MakeSymlinks=", !self.make_symlinks.is_empty()),
        ];
        if let (Some((name, _)), true) = (
            fills.iter().find(|(_, set)| *set),
            self.copy_blocks.is_some(),
        ) {
            return contradiction(
                &format!("CopyBlocks= and {name}"),
                "the blocks would overwrite the file system made",
                "keep one of the two",
            );
        }
        let minimized = self.minimize.is_some_and(|it| it != Minimize::Off);
        if minimized && self.format.is_none() && self.verity != Some(Verity::Hash) {
            return missing(
                "Minimize=",
                "Format= or Verity=hash",
                "nothing else has a least size; drop Minimize=",
            );
        }
        let writable = self.format.is_some_and(|it| !it.is_read_only());
        if self.minimize == Some(Minimize::Best) && writable {
            return contradiction(
                "Minimize=best and Format=",
                "only read-only file systems have a best size",
                "use erofs or squashfs, or Minimize=guess",
            );
        }
        if self.format == Some(FileSystem::Swap)
            && fills.iter().any(|(name, set)| *set && *name != "Format=")
        {
            return contradiction(
                "Format=swap and CopyFiles= or Make…=",
                "swap holds no files",
                "drop the files",
            );
        }
        Ok(())
    }

    fn check_format(&self) -> Result<(), Error> {
        if self.r#type == Some(PartitionType::Esp)
            && self.format.is_some_and(|it| it != FileSystem::Vfat)
        {
            return contradiction(
                "Type=esp and Format=",
                "firmware reads FAT only",
                "use Format=vfat",
            );
        }
        let subvolumes = !self.subvolumes.is_empty() || self.default_subvolume.is_some();
        if subvolumes && self.format != Some(FileSystem::Btrfs) {
            return missing(
                "Subvolumes= or DefaultSubvolume=",
                "Format=btrfs",
                "no other file system has subvolumes",
            );
        }
        if let Some(default) = &self.default_subvolume
            && !self.subvolumes.contains(default)
        {
            return missing(
                &format!("DefaultSubvolume={default}"),
                "the same path in Subvolumes=",
                "add it there",
            );
        }
        Ok(())
    }
}

fn bounds(name: &str, min: Option<Size>, max: Option<Size>) -> Result<(), Error> {
    match (min, max) {
        (Some(min), Some(max)) if min > max => contradiction(
            &format!("{name}MinBytes={min} and {name}MaxBytes={max}"),
            "the least is more than the most",
            "swap them, or make them equal for a fixed size",
        ),
        _ => Ok(()),
    }
}

pub(super) fn missing(setting: &str, missing: &str, remedy: &'static str) -> Result<(), Error> {
    Err(Error::Missing {
        setting: setting.to_owned(),
        missing: missing.to_owned(),
        remedy,
    })
}

pub(super) fn contradiction(these: &str, reason: &str, remedy: &'static str) -> Result<(), Error> {
    Err(Error::Contradiction {
        these: these.to_owned(),
        reason: reason.to_owned(),
        remedy,
    })
}
