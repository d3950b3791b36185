//! Types of GPT partitions by their names in repart.d(5), or by UUID.

use std::fmt;
use std::str::FromStr;

use crate::mkosi::Architecture;
use crate::nearest::nearest;
use crate::uuid::Uuid;
use crate::value::{ValueError, value_by_text};

/// The processor that a root or `/usr` is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cpu {
    /// That of the machine (or of the build).
    Native,
    /// Its 32-bit sibling.
    Secondary,
    /// One by name.
    Of(Architecture),
}

/// What a partition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartitionType {
    Esp,
    Xbootldr,
    Swap,
    Home,
    Srv,
    Var,
    Tmp,
    LinuxGeneric,
    Root(Cpu),
    RootVerity(Cpu),
    RootVeritySignature(Cpu),
    Usr(Cpu),
    UsrVerity(Cpu),
    UsrVeritySignature(Cpu),
    /// Any other, by its UUID.
    Uuid(Uuid),
}

const PLAIN: [(&str, PartitionType); 8] = [
    ("esp", PartitionType::Esp),
    ("xbootldr", PartitionType::Xbootldr),
    ("swap", PartitionType::Swap),
    ("home", PartitionType::Home),
    ("srv", PartitionType::Srv),
    ("var", PartitionType::Var),
    ("tmp", PartitionType::Tmp),
    ("linux-generic", PartitionType::LinuxGeneric),
];

impl PartitionType {
    /// `root` of the machine's own architecture.
    pub const ROOT: Self = Self::Root(Cpu::Native);
    /// `usr` of the machine's own architecture.
    pub const USR: Self = Self::Usr(Cpu::Native);
    /// `usr-verity` of the machine's own architecture.
    pub const USR_VERITY: Self = Self::UsrVerity(Cpu::Native);
    /// `usr-verity-sig` of the machine's own architecture.
    pub const USR_VERITY_SIGNATURE: Self = Self::UsrVeritySignature(Cpu::Native);

    /// Returns whether the type is one for verity hashes.
    pub const fn is_verity_hash(self) -> bool {
        matches!(self, Self::RootVerity(_) | Self::UsrVerity(_))
    }

    /// Returns whether the type is one for verity signatures.
    pub const fn is_verity_signature(self) -> bool {
        matches!(
            self,
            Self::RootVeritySignature(_) | Self::UsrVeritySignature(_)
        )
    }

    /// Returns whether `NoAuto=` means something; `None` when the type is known by its UUID alone.
    pub fn knows_no_auto(self) -> Option<bool> {
        match self {
            Self::Uuid(_) => None,
            Self::Esp | Self::LinuxGeneric => Some(false),
            Self::RootVeritySignature(_) | Self::UsrVeritySignature(_) => Some(false),
            Self::Xbootldr
            | Self::Swap
            | Self::Home
            | Self::Srv
            | Self::Var
            | Self::Tmp
            | Self::Root(_)
            | Self::RootVerity(_)
            | Self::Usr(_)
            | Self::UsrVerity(_) => Some(true),
        }
    }

    /// Returns whether `ReadOnly=` means something; `None` when the type is known by its UUID alone.
    pub fn knows_read_only(self) -> Option<bool> {
        self.knows_no_auto().map(|it| it && self != Self::Swap)
    }

    /// Returns whether `GrowFileSystem=` means something; `None` when the type is known by its UUID alone.
    pub fn knows_grow_file_system(self) -> Option<bool> {
        self.knows_read_only()
            .map(|it| it && !self.is_verity_hash())
    }

    /// Splits a type into base, processor and suffix; `None` for the types without a processor.
    const fn parts(self) -> Option<(&'static str, Cpu, &'static str)> {
        match self {
            Self::Root(cpu) => Some(("root", cpu, "")),
            Self::RootVerity(cpu) => Some(("root", cpu, "-verity")),
            Self::RootVeritySignature(cpu) => Some(("root", cpu, "-verity-sig")),
            Self::Usr(cpu) => Some(("usr", cpu, "")),
            Self::UsrVerity(cpu) => Some(("usr", cpu, "-verity")),
            Self::UsrVeritySignature(cpu) => Some(("usr", cpu, "-verity-sig")),
            Self::Esp
            | Self::Xbootldr
            | Self::Swap
            | Self::Home
            | Self::Srv
            | Self::Var
            | Self::Tmp
            | Self::LinuxGeneric
            | Self::Uuid(_) => None,
        }
    }
}

impl fmt::Display for PartitionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Uuid(uuid) = self {
            return uuid.fmt(f);
        }
        let plain = PLAIN
            .iter()
            .find(|(_, it)| it == self)
            .map_or("", |(name, _)| *name);
        match self.parts() {
            None => f.write_str(plain),
            Some((base, Cpu::Native, suffix)) => write!(f, "{base}{suffix}"),
            Some((base, Cpu::Secondary, suffix)) => write!(f, "{base}-secondary{suffix}"),
            Some((base, Cpu::Of(architecture), suffix)) => {
                write!(f, "{base}-{architecture}{suffix}")
            }
        }
    }
}

impl FromStr for PartitionType {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = PLAIN
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, it)| *it);
        let uuid = || text.parse().ok().map(Self::Uuid);
        known.or_else(|| with_cpu(text)).or_else(uuid).ok_or_else(|| ValueError::Choice {
            kind: "partition type",
            text: text.to_owned(),
            suggestion: nearest(text, PLAIN.iter().map(|(name, _)| *name).chain(["root", "usr", "usr-verity", "root-verity"])),
            choices: "esp, xbootldr, swap, home, srv, var, tmp, linux-generic, root, usr, these two with an \
                      architecture, -verity or -verity-sig, or a UUID"
                .to_owned(),
        })
    }
}

value_by_text!(PartitionType);

fn with_cpu(text: &str) -> Option<PartitionType> {
    let (rest, suffix) = if let Some(rest) = text.strip_suffix("-verity-sig") {
        (rest, "-verity-sig")
    } else if let Some(rest) = text.strip_suffix("-verity") {
        (rest, "-verity")
    } else {
        (text, "")
    };
    let (base, cpu) = match rest.split_once('-') {
        None => (rest, Cpu::Native),
        Some((base, "secondary")) => (base, Cpu::Secondary),
        Some((base, architecture)) => (base, Cpu::Of(architecture.parse().ok()?)),
    };
    Some(match (base, suffix) {
        ("root", "") => PartitionType::Root(cpu),
        ("root", "-verity") => PartitionType::RootVerity(cpu),
        ("root", _) => PartitionType::RootVeritySignature(cpu),
        ("usr", "") => PartitionType::Usr(cpu),
        ("usr", "-verity") => PartitionType::UsrVerity(cpu),
        ("usr", _) => PartitionType::UsrVeritySignature(cpu),
        _ => return None,
    })
}
