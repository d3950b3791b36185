//! Transfer files of systemd-sysupdate 257 (`sysupdate.d/*.transfer`).

mod choice;
mod error;
mod pattern;
mod slots;
mod validate;
mod value;

use std::fmt;

pub use choice::*;
pub use error::Error;
pub use pattern::MatchPattern;
pub use value::Instances;

use crate::mkosi::Mode;
use crate::repart::{Flags, PartitionType};
use crate::section::{Layout, Section, Sectioned, print, section};
use crate::{Item, Text, Uuid, Word};

section! {
    /// `[Transfer]`: what the transfer as a whole obeys.
    #[derive(Default)]
    pub struct TransferSection ["Transfer"] {
        min_version: Option<Item> = "MinVersion",
        /// Versions never removed: `%A` is the running one's.
        protect_version: Vec<Word> = "ProtectVersion",
        /// Whether `SHA256SUMS` must be signed; yes if not said.
        verify: Option<bool> = "Verify",
        change_log: Vec<Word> = "ChangeLog",
        app_stream: Vec<Word> = "AppStream",
        features: Vec<Word> = "Features",
        requisite_features: Vec<Word> = "RequisiteFeatures",
    }
}

section! {
    /// `[Source]`: where new versions come from.
    pub struct Source ["Source"] {
        r#type: SourceType = "Type",
        /// The folder's URL or path.
        path: Text = "Path",
        path_relative_to: Option<Anchor> = "PathRelativeTo",
        match_pattern: Vec<MatchPattern> = "MatchPattern",
    }
}

section! {
    /// `[Target]`: where they go.
    pub struct Target ["Target"] {
        r#type: TargetType = "Type",
        /// The folder; of a partition the disk, or `auto`.
        path: Text = "Path",
        path_relative_to: Option<Anchor> = "PathRelativeTo",
        /// The first names what is written.
        match_pattern: Vec<MatchPattern> = "MatchPattern",
        match_partition_type: Option<PartitionType> = "MatchPartitionType",
        partition_uuid: Option<Uuid> = "PartitionUUID",
        partition_flags: Option<Flags> = "PartitionFlags",
        partition_no_auto: Option<bool> = "PartitionNoAuto",
        partition_grow_file_system: Option<bool> = "PartitionGrowFileSystem",
        read_only: Option<bool> = "ReadOnly",
        mode: Option<Mode> = "Mode",
        tries_done: Option<u32> = "TriesDone",
        tries_left: Option<u32> = "TriesLeft",
        instances_max: Option<Instances> = "InstancesMax",
        remove_temporary: Option<bool> = "RemoveTemporary",
        current_symlink: Option<Text> = "CurrentSymlink",
    }
}

impl Source {
    /// Returns a source with one pattern.
    pub fn new(r#type: SourceType, path: Text, pattern: MatchPattern) -> Self {
        Self {
            r#type,
            path,
            path_relative_to: None,
            match_pattern: vec![pattern],
        }
    }
}

impl Target {
    /// Returns a target with one pattern that keeps so many versions.
    pub fn new(
        r#type: TargetType,
        path: Text,
        pattern: MatchPattern,
        instances: Instances,
    ) -> Self {
        Self {
            r#type,
            path,
            path_relative_to: None,
            match_pattern: vec![pattern],
            match_partition_type: None,
            partition_uuid: None,
            partition_flags: None,
            partition_no_auto: None,
            partition_grow_file_system: None,
            read_only: None,
            mode: None,
            tries_done: None,
            tries_left: None,
            instances_max: Some(instances),
            remove_temporary: None,
            current_symlink: None,
        }
    }
}

/// One resource that an update replaces.
///
/// ```
/// use mkosi_config_builder::sysupdate::*;
/// let source = Source::new(SourceType::UrlFile, "https://updates.invalid".parse()?, "box_@v.efi".parse()?);
/// let target = Target {
///     path_relative_to: Some(Anchor::Boot),
///     ..Target::new(TargetType::RegularFile, "/EFI/Linux".parse()?, "box_@v.efi".parse()?, Instances::new(2)?)
/// };
/// let transfer = Transfer::new(source, target);
/// transfer.validate()?;
/// assert!(transfer.to_string().ends_with("InstancesMax=2\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// What the file is for: its first line.
    pub comment: Option<Text>,
    pub transfer: TransferSection,
    pub source: Source,
    pub target: Target,
}

impl Transfer {
    /// Returns a transfer with the defaults of systemd-sysupdate.
    pub fn new(source: Source, target: Target) -> Self {
        Self {
            comment: None,
            transfer: TransferSection::default(),
            source,
            target,
        }
    }

    /// Returns the sections in the order they are printed.
    pub fn sections(&self) -> Vec<Section> {
        vec![
            self.transfer.section(),
            self.source.section(),
            self.target.section(),
        ]
    }
}

impl fmt::Display for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, self.comment.as_ref(), &self.sections(), Layout::Repeated)
    }
}
