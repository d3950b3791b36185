//! `mkosi.conf` of mkosi 25.3: every section and setting, printed, read back and checked.

mod choice;
mod error;
mod read;
mod runtime;
mod sections;
mod validate;
mod validate_build;
mod value;

use std::fmt;

pub use choice::*;
pub use error::Error;
pub use runtime::RuntimeSection;
pub use sections::*;
pub use value::{Condition, Mode, ToolsTree};

use crate::Text;
use crate::section::{Layout, Section, Sectioned, print};

/// A `mkosi.conf`, or a file of `mkosi.conf.d/`.
///
/// ```
/// use mkosi_config_builder::mkosi::{Config, Distribution, Feature};
/// let mut config = Config::default();
/// config.distribution.distribution = Some(Distribution::Debian);
/// config.distribution.release = Some("trixie".parse()?);
/// config.content.bootable = Some(Feature::Enabled);
/// config.validate()?;
/// assert_eq!(
///     config.to_string(),
///     "[Distribution]\nDistribution=debian\nRelease=trixie\n\n[Content]\nBootable=enabled\n",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// What the file is for: its first line.
    pub comment: Option<Text>,
    pub r#match: MatchSection,
    pub include: IncludeSection,
    pub config: ConfigSection,
    pub distribution: DistributionSection,
    pub output: OutputSection,
    pub content: ContentSection,
    pub validation: ValidationSection,
    pub build: BuildSection,
    pub runtime: RuntimeSection,
}

impl Config {
    /// Returns the sections in the order they are printed.
    pub fn sections(&self) -> Vec<Section> {
        vec![
            self.r#match.section(),
            self.include.section(),
            self.config.section(),
            self.distribution.section(),
            self.output.section(),
            self.content.section(),
            self.validation.section(),
            self.build.section(),
            self.runtime.section(),
        ]
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sections = self.sections();
        // A condition is one line: several values on indented lines would be one value to mkosi.
        let conditions = sections.remove(0);
        print(
            f,
            self.comment.as_ref(),
            std::slice::from_ref(&conditions),
            Layout::Repeated,
        )?;
        let rest: Vec<Section> = sections
            .into_iter()
            .filter(|it| !it.entries.is_empty())
            .collect();
        if !rest.is_empty() && (!conditions.entries.is_empty() || self.comment.is_some()) {
            writeln!(f)?;
        }
        print(f, None, &rest, Layout::Indented)
    }
}
