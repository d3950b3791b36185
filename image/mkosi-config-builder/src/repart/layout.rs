//! All partitions of a disk, in order.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::Partition;
use crate::mkosi::SectorSize;
use crate::text::form;
use crate::value::ValueError;
use crate::{Name, Text, Tree};

/// The name of a partition file without `.conf`: two digits that order it, and a word.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stem {
    number: u8,
    name: Name,
}

impl Stem {
    /// Returns the name `NN-name`; the number is below 100.
    pub fn new(number: u8, name: &str) -> Result<Self, ValueError> {
        if number > 99 {
            return Err(form(
                "number of a file",
                &number.to_string(),
                "two digits order the files",
            ));
        }
        Ok(Self {
            number,
            name: name.parse()?,
        })
    }

    /// Returns the number.
    pub const fn number(&self) -> u8 {
        self.number
    }

    /// Returns the word after the number.
    pub const fn name(&self) -> &Name {
        &self.name
    }
}

impl fmt::Display for Stem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{}", self.number, self.name)
    }
}

impl FromStr for Stem {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refusal = || form("file name", text, "write two digits, a dash and a word");
        let (number, name) = text.split_once('-').ok_or_else(refusal)?;
        if number.len() != 2 || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(refusal());
        }
        Self::new(number.parse().map_err(|_| refusal())?, name)
    }
}

/// The partitions of a disk.
///
/// ```
/// use mkosi_config_builder::Size;
/// use mkosi_config_builder::repart::{Layout, Partition, PartitionType};
/// let mut layout = Layout::default();
/// let esp = Partition::new(PartitionType::Esp).sized(Size::mib(256));
/// layout.place(10, "esp", "the boot loader and the kernels; mkosi writes it", esp)?;
/// let error = layout.validate().unwrap_err();
/// assert!(error.to_string().contains("use 512M or more"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    /// `SectorSize=` of mkosi; without it file systems have sectors of 4096 bytes.
    pub sector_size: Option<SectorSize>,
    /// What each partition holds and who writes it, and the partition.
    pub partitions: BTreeMap<Stem, (Text, Partition)>,
}

impl Layout {
    /// Adds a partition; one of the same name is replaced.
    pub fn add(&mut self, stem: Stem, comment: Text, partition: Partition) {
        self.partitions.insert(stem, (comment, partition));
    }

    /// Adds a partition by the parts of its file's name; one of the same name is replaced.
    pub fn place(
        &mut self,
        number: u8,
        name: &str,
        comment: &str,
        partition: Partition,
    ) -> Result<(), ValueError> {
        self.add(Stem::new(number, name)?, comment.parse()?, partition);
        Ok(())
    }

    /// Returns the files, each `NN-name.conf` in `folder`.
    pub fn tree(&self, folder: &str) -> Result<Tree, crate::tree::Error> {
        let mut tree = Tree::default();
        for (stem, (comment, partition)) in &self.partitions {
            tree.add(
                &format!("{folder}/{stem}.conf"),
                partition.with_comment(comment),
            )?;
        }
        Ok(tree)
    }
}
