//! The names of all settings, so that a misspelt or misplaced one is refused instead of ignored.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::nearest::nearest;
use crate::section::Sectioned;
use crate::{mkosi, repart, sysupdate};

/// The kind of file a setting belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// `mkosi.conf`
    Mkosi,
    /// `repart.d/*.conf`
    Repart,
    /// `sysupdate.d/*.transfer`
    Sysupdate,
}

impl FileKind {
    /// Returns the sections of such a file with the names of their settings.
    pub fn sections(self) -> Vec<(&'static str, &'static [&'static str])> {
        fn of<T: Sectioned>() -> (&'static str, &'static [&'static str]) {
            (T::TITLE, T::KEYS)
        }
        match self {
            Self::Mkosi => vec![
                of::<mkosi::MatchSection>(),
                of::<mkosi::IncludeSection>(),
                of::<mkosi::ConfigSection>(),
                of::<mkosi::DistributionSection>(),
                of::<mkosi::OutputSection>(),
                of::<mkosi::ContentSection>(),
                of::<mkosi::ValidationSection>(),
                of::<mkosi::BuildSection>(),
                of::<mkosi::RuntimeSection>(),
            ],
            Self::Repart => vec![of::<repart::Partition>()],
            Self::Sysupdate => vec![
                of::<sysupdate::TransferSection>(),
                of::<sysupdate::Source>(),
                of::<sysupdate::Target>(),
            ],
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mkosi => "mkosi.conf",
            Self::Repart => "repart.d",
            Self::Sysupdate => "sysupdate.d",
        })
    }
}

/// The name of a setting that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Setting {
    pub file: FileKind,
    pub section: &'static str,
    pub name: &'static str,
}

/// Why a name is no setting.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnknownSetting {
    #[error("{file} has no setting `{name}`{}", suggestion.map(|it| format!(", did you mean `{it}`?")).unwrap_or_default())]
    Name {
        file: FileKind,
        name: String,
        suggestion: Option<&'static str>,
    },
    #[error("{file} has no section [{section}]{}", suggestion.map(|it| format!(", did you mean [{it}]?")).unwrap_or_default())]
    Section {
        file: FileKind,
        section: String,
        suggestion: Option<&'static str>,
    },
    #[error("`{name}` stands in [{section}] of {file}, but belongs in [{home}]")]
    Misplaced {
        file: FileKind,
        name: String,
        section: String,
        home: &'static str,
    },
}

impl Setting {
    /// Finds a setting by its section and name.
    pub fn find(file: FileKind, section: &str, name: &str) -> Result<Self, UnknownSetting> {
        let sections = file.sections();
        let Some((title, keys)) = sections.iter().find(|(title, _)| *title == section) else {
            return Err(UnknownSetting::Section {
                file,
                section: section.to_owned(),
                suggestion: nearest(section, sections.iter().map(|(title, _)| *title)),
            });
        };
        if let Some(name) = keys.iter().find(|key| **key == name) {
            return Ok(Self {
                file,
                section: title,
                name,
            });
        }
        match Self::named(file, name) {
            Ok(found) => Err(UnknownSetting::Misplaced {
                file,
                name: name.to_owned(),
                section: section.to_owned(),
                home: found.section,
            }),
            Err(error) => Err(error),
        }
    }

    /// Finds a setting by its name alone; conditions of `[Match]` count last.
    pub fn named(file: FileKind, name: &str) -> Result<Self, UnknownSetting> {
        let all = || {
            let sections = file.sections().into_iter().rev();
            sections.flat_map(|(section, keys)| keys.iter().map(move |key| (section, *key)))
        };
        match all().find(|(_, key)| *key == name) {
            Some((section, name)) => Ok(Self {
                file,
                section,
                name,
            }),
            None => Err(UnknownSetting::Name {
                file,
                name: name.to_owned(),
                suggestion: nearest(name, all().map(|(_, key)| key)),
            }),
        }
    }
}

/// Reads the name of a setting of `mkosi.conf`.
///
/// ```
/// use mkosi_config_builder::Setting;
/// assert_eq!("Bootable".parse::<Setting>()?.section, "Content");
/// let error = "Bootble".parse::<Setting>().unwrap_err();
/// assert_eq!(error.to_string(), "mkosi.conf has no setting `Bootble`, did you mean `Bootable`?");
/// # Ok::<(), mkosi_config_builder::UnknownSetting>(())
/// ```
impl FromStr for Setting {
    type Err = UnknownSetting;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::named(FileKind::Mkosi, name)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}=", self.section, self.name)
    }
}
