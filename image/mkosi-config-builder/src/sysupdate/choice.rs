//! The closed sets that systemd-sysupdate 257 knows.

use crate::choice::choice;

choice! {
    /// What is read.
    pub enum SourceType "type of source" {
        UrlFile = "url-file", UrlTar = "url-tar", Tar = "tar", RegularFile = "regular-file",
        Directory = "directory", Subvolume = "subvolume",
    }
}

choice! {
    /// What is written.
    pub enum TargetType "type of target" {
        Partition = "partition", RegularFile = "regular-file", Directory = "directory", Subvolume = "subvolume",
    }
}

choice! {
    /// What a path is relative to.
    pub enum Anchor "anchor of a path" {
        Root = "root", Esp = "esp", Xbootldr = "xbootldr", Boot = "boot", Explicit = "explicit",
    }
}

impl SourceType {
    /// Returns whether the source is on a web server.
    pub const fn is_url(self) -> bool {
        matches!(self, Self::UrlFile | Self::UrlTar)
    }

    /// Returns whether such a source can fill such a target.
    pub const fn fits(self, target: TargetType) -> bool {
        let file = matches!(target, TargetType::Partition | TargetType::RegularFile);
        matches!(self, Self::UrlFile | Self::RegularFile) == file
    }
}
