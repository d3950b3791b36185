//! apt sources in deb822 form, for the sandbox trees of a build. The mirror is the caller's.

use std::fmt;

use thiserror::Error;

use crate::path::ImagePath;
use crate::text::{checked_text, form, line, refuse};
use crate::value::{ValueError, value_by_text};
use crate::{Name, Text, Word};

checked_text! {
    /// Where packages are fetched: a URL that apt knows, without a password.
    pub struct Mirror, mirror
}
value_by_text!(Mirror);

/// Why sources are refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    #[error("{field} of an apt source is empty: {remedy}")]
    Missing {
        field: &'static str,
        remedy: &'static str,
    },
    #[error(
        "Suites: {suite} and Components: contradict each other: a suite ending in `/` is a flat repository; drop the components"
    )]
    Flat { suite: Word },
    #[error(
        "Signed-By: and Trusted: yes contradict each other: signatures are checked or they are not; drop one"
    )]
    Trusted,
}

/// One stanza of a `.sources` file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// Whether source packages are listed too.
    pub sources: bool,
    pub uris: Vec<Mirror>,
    pub suites: Vec<Word>,
    pub components: Vec<Name>,
    pub architectures: Vec<Name>,
    pub signed_by: Option<ImagePath>,
    /// Packages are taken without any signature: only for a repository made on this machine.
    pub trusted: bool,
    /// False for a mirror that keeps old files whose `Valid-Until` has passed.
    pub check_valid_until: Option<bool>,
}

/// A `.sources` file.
///
/// ```
/// use mkosi_config_builder::apt::{Source, Sources};
/// use mkosi_config_builder::list;
/// let source = Source {
///     uris: list(["http://mirror.invalid/debian"])?,
///     suites: list(["trixie"])?,
///     components: list(["main"])?,
///     signed_by: Some("/usr/share/keyrings/debian-archive-keyring.gpg".parse()?),
///     ..Source::default()
/// };
/// let sources = Sources { comment: None, stanzas: vec![source] };
/// sources.validate()?;
/// assert!(sources.to_string().starts_with("Types: deb\nURIs: http://mirror.invalid/debian\nSuites: trixie\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    pub comment: Option<Text>,
    pub stanzas: Vec<Source>,
}

impl Sources {
    /// Refuses stanzas that apt would not read or not trust.
    pub fn validate(&self) -> Result<(), Error> {
        if self.stanzas.is_empty() {
            return Err(Error::Missing {
                field: "the file",
                remedy: "add a source",
            });
        }
        self.stanzas.iter().try_for_each(Source::validate)
    }
}

impl Source {
    /// Refuses a stanza that apt would not read or not trust.
    pub fn validate(&self) -> Result<(), Error> {
        if self.uris.is_empty() {
            return Err(Error::Missing {
                field: "URIs:",
                remedy: "give the mirror",
            });
        }
        if self.suites.is_empty() {
            return Err(Error::Missing {
                field: "Suites:",
                remedy: "give the release",
            });
        }
        let flat = self.suites.iter().find(|it| it.as_str().ends_with('/'));
        match flat {
            Some(suite) if !self.components.is_empty() => {
                return Err(Error::Flat {
                    suite: suite.clone(),
                });
            }
            None if self.components.is_empty() => {
                return Err(Error::Missing {
                    field: "Components:",
                    remedy: "give at least `main`",
                });
            }
            _ => {}
        }
        if self.trusted && self.signed_by.is_some() {
            return Err(Error::Trusted);
        }
        Ok(())
    }

    /// Returns the fields in the order they are printed.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let yes_no = |it: bool| if it { "yes" } else { "no" }.to_owned();
        let all = [
            (
                "Types",
                if self.sources { "deb deb-src" } else { "deb" }.to_owned(),
            ),
            ("URIs", join(&self.uris)),
            ("Suites", join(&self.suites)),
            ("Components", join(&self.components)),
            ("Architectures", join(&self.architectures)),
            (
                "Signed-By",
                self.signed_by.iter().map(ToString::to_string).collect(),
            ),
            (
                "Trusted",
                if self.trusted {
                    yes_no(true)
                } else {
                    String::new()
                },
            ),
            (
                "Check-Valid-Until",
                self.check_valid_until.map(yes_no).unwrap_or_default(),
            ),
        ];
        all.into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect()
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(comment) = &self.comment {
            writeln!(f, "# {comment}")?;
        }
        for (index, stanza) in self.stanzas.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            for (name, value) in stanza.fields() {
                writeln!(f, "{name}: {value}")?;
            }
        }
        Ok(())
    }
}

fn join(items: &[impl ToString]) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

fn mirror(text: &str) -> Result<(), ValueError> {
    const KIND: &str = "mirror";
    line(KIND, text)?;
    refuse(KIND, text, char::is_whitespace, "it separates mirrors")?;
    let rest = [
        "http://",
        "https://",
        "file:///",
        "file:/",
        "copy:/",
        "mirror+file:/",
        "mirror+http://",
        "mirror+https://",
    ]
    .iter()
    .find_map(|scheme| text.strip_prefix(scheme))
    .ok_or_else(|| form(KIND, text, "begin it with http://, https:// or file:///"))?;
    let host = rest.split('/').next().unwrap_or_default();
    if host.contains('@') {
        return Err(form(
            KIND,
            "(hidden)",
            "a password in a mirror's URL ends up in logs: use apt's auth.conf.d",
        ));
    }
    Ok(())
}
