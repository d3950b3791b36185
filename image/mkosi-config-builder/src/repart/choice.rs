//! The closed sets that systemd-repart 257 knows.

use crate::choice::choice;

choice! {
    /// What a new partition is formatted with.
    pub enum FileSystem "file system" {
        Ext4 = "ext4", Btrfs = "btrfs", Xfs = "xfs", Vfat = "vfat", Erofs = "erofs", Squashfs = "squashfs",
        Swap = "swap", Empty = "empty",
    }
}

impl FileSystem {
    /// Returns whether the file system can never be written once it is made.
    pub const fn is_read_only(self) -> bool {
        matches!(self, Self::Erofs | Self::Squashfs)
    }
}

choice! {
    /// The part a partition plays in dm-verity.
    pub enum Verity "verity" {
        Off = "off", Data = "data", Hash = "hash", Signature = "signature",
    }
}

choice! {
    /// What opens an encrypted partition.
    pub enum Encrypt "encryption" {
        Off = "off", KeyFile = "key-file", Tpm2 = "tpm2", KeyFileAndTpm2 = "key-file+tpm2",
    }
}

choice! {
    /// Whether the partition is made as small as its files allow.
    pub enum Minimize "minimization" {
        Off = "off", Best = "best", Guess = "guess",
    }
}

choice! {
    /// The compression inside of a file system.
    pub enum Compression "file system compression" {
        Gzip = "gzip", Lzo = "lzo", Lz4 = "lz4", Lz4hc = "lz4hc", Xz = "xz", Zstd = "zstd", Lzma = "lzma",
        Deflate = "deflate", Libdeflate = "libdeflate",
    }
}

impl Compression {
    /// Returns whether this file system knows it.
    pub const fn fits(self, file_system: FileSystem) -> bool {
        match file_system {
            FileSystem::Squashfs => matches!(
                self,
                Self::Gzip | Self::Lzo | Self::Lz4 | Self::Xz | Self::Zstd | Self::Lzma
            ),
            FileSystem::Erofs => matches!(
                self,
                Self::Lz4
                    | Self::Lz4hc
                    | Self::Lzma
                    | Self::Deflate
                    | Self::Libdeflate
                    | Self::Zstd
            ),
            FileSystem::Btrfs => matches!(self, Self::Lzo | Self::Zstd),
            FileSystem::Ext4
            | FileSystem::Xfs
            | FileSystem::Vfat
            | FileSystem::Swap
            | FileSystem::Empty => false,
        }
    }
}
