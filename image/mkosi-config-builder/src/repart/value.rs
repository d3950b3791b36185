//! Forms of values that only repart.d has.

use std::fmt;
use std::str::FromStr;

use crate::path::{ImagePath, split};
use crate::text::{checked_text, form, line, refuse};
use crate::uuid::Uuid;
use crate::value::{Value, ValueError, value_by_text};

checked_text! {
    /// The name of a partition in the GPT: at most 36 UTF-16 units; `_empty` marks a slot for an update.
    pub struct Label, label
}
checked_text! {
    /// The suffix of the file that a partition is split into; `-` for no file.
    pub struct SplitName, split_name
}

impl Label {
    /// The label that systemd-sysupdate takes for an empty slot.
    pub const EMPTY: &'static str = "_empty";

    /// Returns the label of a slot that waits for an update.
    pub fn empty() -> Self {
        Self::new(Self::EMPTY).expect("the constant is a valid label")
    }

    /// Returns whether the partition waits for an update.
    pub fn is_empty_slot(&self) -> bool {
        self.as_str() == Self::EMPTY
    }
}

/// The UUID a partition gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartitionUuid {
    /// All zeros: an update sets it later.
    Null,
    Is(Uuid),
}

impl fmt::Display for PartitionUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Is(uuid) => uuid.fmt(f),
        }
    }
}

impl FromStr for PartitionUuid {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "null" {
            Ok(Self::Null)
        } else {
            text.parse().map(Self::Is)
        }
    }
}

/// Where a partition's blocks come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyBlocks {
    /// The same partition of the running system.
    Auto,
    Path(ImagePath),
}

impl fmt::Display for CopyBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Path(path) => path.fmt(f),
        }
    }
}

impl FromStr for CopyBlocks {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" {
            Ok(Self::Auto)
        } else {
            text.parse().map(Self::Path)
        }
    }
}

/// Files copied into the new file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFiles {
    pub source: ImagePath,
    /// Where they go; the same path if not said.
    pub target: Option<ImagePath>,
}

impl fmt::Display for CopyFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        self.target
            .iter()
            .try_for_each(|target| write!(f, ":{target}"))
    }
}

impl FromStr for CopyFiles {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (source, target) = split(text);
        Ok(Self {
            source: source.parse()?,
            target: target.map(str::parse).transpose()?,
        })
    }
}

/// A symbolic link made in the new file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symlink {
    pub link: ImagePath,
    pub target: crate::Item,
}

impl fmt::Display for Symlink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.link, self.target)
    }
}

impl FromStr for Symlink {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (link, target) = text
            .split_once(':')
            .ok_or_else(|| form("link", text, "write `/link:target`"))?;
        Ok(Self {
            link: link.parse()?,
            target: target.parse()?,
        })
    }
}

/// The 64 flags of a partition's GPT entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flags(pub u64);

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl FromStr for Flags {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text
            .strip_prefix("0x")
            .map(|it| u64::from_str_radix(it, 16));
        let number = digits.unwrap_or_else(|| text.parse());
        number
            .map(Self)
            .map_err(|_| form("set of flags", text, "write 0x and hexadecimal digits"))
    }
}

value_by_text!(
    PartitionUuid,
    CopyBlocks,
    CopyFiles,
    Symlink,
    Flags,
    SplitName
);

impl Value for Label {
    fn render(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Result<Self, ValueError> {
        text.parse()
    }
}

fn label(text: &str) -> Result<(), ValueError> {
    line("label", text)?;
    if text.encode_utf16().count() > 36 {
        return Err(form("label", text, "GPT has room for 36 characters"));
    }
    Ok(())
}

fn split_name(text: &str) -> Result<(), ValueError> {
    const KIND: &str = "split name";
    line(KIND, text)?;
    refuse(
        KIND,
        text,
        |c| c == '/' || c.is_whitespace(),
        "it becomes part of a file name",
    )
}
