//! Paths on the machine that builds, and paths inside the image.

use std::fmt;
use std::str::FromStr;

use crate::text::{checked_text, form, is_quote, line, refuse};
use crate::value::{ValueError, value_by_text};

checked_text! {
    /// A path on the building machine, absolute or relative to the configuration's folder.
    pub struct BuildPath, build_path
}
checked_text! {
    /// An absolute path inside the image, without `..`; a `/` at its end means the contents only.
    pub struct ImagePath, image_path
}

/// A folder or archive of the building machine, and where in the image it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreePath {
    pub source: BuildPath,
    pub target: Option<ImagePath>,
}

impl From<BuildPath> for TreePath {
    fn from(source: BuildPath) -> Self {
        Self {
            source,
            target: None,
        }
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        self.target
            .iter()
            .try_for_each(|target| write!(f, ":{target}"))
    }
}

impl FromStr for TreePath {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (source, target) = split(text);
        Ok(Self {
            source: source.parse()?,
            target: target.map(str::parse).transpose()?,
        })
    }
}

value_by_text!(BuildPath, ImagePath, TreePath);

/// Splits `source:target`.
pub(crate) fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((source, target)) => (source, Some(target)),
        None => (text, None),
    }
}

fn build_path(text: &str) -> Result<(), ValueError> {
    const KIND: &str = "path";
    line(KIND, text)?;
    refuse(KIND, text, |c| c == ',' || c == ':', "it separates paths")?;
    refuse(
        KIND,
        text,
        |c| c == '$',
        "mkosi would replace it by a variable of its environment",
    )?;
    if text.starts_with('~') {
        return Err(form(KIND, text, "mkosi would take it for a home folder"));
    }
    Ok(())
}

fn image_path(text: &str) -> Result<(), ValueError> {
    const KIND: &str = "path in the image";
    line(KIND, text)?;
    refuse(
        KIND,
        text,
        |c| c.is_whitespace() || c == ':' || c == ',',
        "it separates paths",
    )?;
    refuse(KIND, text, is_quote, "readers differ in how they unquote")?;
    if !text.starts_with('/') {
        return Err(form(KIND, text, "it must be absolute"));
    }
    if text.split('/').any(|part| part == "..") {
        return Err(form(KIND, text, "`..` may leave the image"));
    }
    Ok(())
}
