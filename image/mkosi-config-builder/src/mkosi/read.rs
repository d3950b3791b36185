//! Reads `mkosi.conf` text: a whole file, or a few settings laid over a configuration.

use std::str::FromStr;

use super::{Config, Error};
use crate::section::Sectioned;
use crate::setting::{FileKind, Setting};

impl Config {
    /// Lays settings over this configuration, as mkosi itself would: a value replaces, a list grows, an empty value resets.
    ///
    /// Names that mkosi does not know are refused, which mkosi only does while it builds.
    ///
    /// ```
    /// use mkosi_config_builder::mkosi::Config;
    /// let mut config = Config::default();
    /// config.lay_over("[Output]\nImageId=box\n")?;
    /// let error = config.lay_over("[Output]\nImageIdd=box\n").unwrap_err();
    /// assert_eq!(error.to_string(), "failed to read line 2");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lay_over(&mut self, text: &str) -> Result<(), Error> {
        let mut laid = self.clone();
        for entry in entries(text)? {
            laid.accept(&entry)?;
        }
        *self = laid;
        Ok(())
    }

    fn accept(&mut self, entry: &Entry<'_>) -> Result<(), Error> {
        let Entry {
            line,
            section,
            name,
            value,
        } = entry;
        Setting::find(FileKind::Mkosi, section, name)
            .map_err(|error| Error::Setting { line: *line, error })?;
        let fields: [&mut dyn Accept; 9] = [
            &mut self.r#match,
            &mut self.include,
            &mut self.config,
            &mut self.distribution,
            &mut self.output,
            &mut self.content,
            &mut self.validation,
            &mut self.build,
            &mut self.runtime,
        ];
        for field in fields.into_iter().filter(|field| field.title() == *section) {
            field.set(name, value).map_err(|error| Error::Value {
                line: *line,
                name: (*name).to_owned(),
                error,
            })?;
        }
        Ok(())
    }
}

impl FromStr for Config {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut config = Self::default();
        config.lay_over(text)?;
        Ok(config)
    }
}

/// [`Sectioned`] without its constants, so that sections of different types fit one array.
trait Accept {
    fn title(&self) -> &'static str;
    fn set(&mut self, name: &str, value: &str) -> Result<bool, crate::ValueError>;
}

impl<T: Sectioned> Accept for T {
    fn title(&self) -> &'static str {
        T::TITLE
    }

    fn set(&mut self, name: &str, value: &str) -> Result<bool, crate::ValueError> {
        self.accept(name, value)
    }
}

struct Entry<'a> {
    line: usize,
    section: &'a str,
    name: &'a str,
    value: String,
}

/// Splits text into its settings; an indented line continues the value above it.
fn entries(text: &str) -> Result<Vec<Entry<'_>>, Error> {
    let mut section = None;
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut open = false;
    for (index, raw) in text.lines().enumerate() {
        let number = index + 1;
        let line = raw.split_once('#').map_or(raw, |(before, _)| before);
        let bare = line.trim();
        if bare.is_empty() {
            continue;
        }
        let continues = open && line.starts_with(char::is_whitespace);
        if let Some(entry) = entries.last_mut().filter(|_| continues) {
            entry.value.push('\n');
            entry.value.push_str(bare);
            continue;
        }
        if let Some(title) = bare
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = Some(title.trim());
            open = false;
            continue;
        }
        let Some((name, value)) = bare.split_once('=') else {
            return Err(Error::Line {
                line: number,
                text: bare.to_owned(),
            });
        };
        let (name, value) = (name.trim(), value.trim().to_owned());
        let Some(section) = section else {
            return Err(Error::NoSection {
                line: number,
                name: name.to_owned(),
            });
        };
        entries.push(Entry {
            line: number,
            section,
            name,
            value,
        });
        open = true;
    }
    Ok(entries)
}
