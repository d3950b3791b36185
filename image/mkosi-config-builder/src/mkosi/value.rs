//! Forms of values that only mkosi has.

use std::fmt;
use std::str::FromStr;

use crate::BuildPath;
use crate::text::form;
use crate::value::{Value, ValueError, value_by_text};

/// One condition of `[Match]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition<T> {
    /// Of the conditions so marked, one is enough (`|`).
    pub alternative: bool,
    /// The condition holds when the value is another (`!`).
    pub negated: bool,
    pub value: T,
}

impl<T> Condition<T> {
    /// Returns the condition that the value is this one.
    pub const fn is(value: T) -> Self {
        Self {
            alternative: false,
            negated: false,
            value,
        }
    }

    /// Returns the condition that the value is another.
    pub const fn is_not(value: T) -> Self {
        Self {
            alternative: false,
            negated: true,
            value,
        }
    }
}

impl<T: Value> Value for Condition<T> {
    fn render(&self) -> String {
        let alternative = if self.alternative { "|" } else { "" };
        let negated = if self.negated { "!" } else { "" };
        format!("{alternative}{negated}{}", self.value.render())
    }

    fn read(text: &str) -> Result<Self, ValueError> {
        let rest = text.strip_prefix('|').unwrap_or(text);
        let bare = rest.strip_prefix('!').unwrap_or(rest);
        Ok(Self {
            alternative: rest.len() < text.len(),
            negated: bare.len() < rest.len(),
            value: T::read(bare)?,
        })
    }

    fn split(text: &str) -> Vec<&str> {
        vec![text]
    }
}

/// Where the tools of the build come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolsTree {
    /// mkosi builds one from packages.
    Default,
    /// A folder that is there already.
    Path(BuildPath),
}

impl fmt::Display for ToolsTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Path(path) => path.fmt(f),
        }
    }
}

impl FromStr for ToolsTree {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "default" => Ok(Self::Default),
            _ => text.parse().map(Self::Path),
        }
    }
}

/// An access mode, printed in octal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mode(u16);

impl Mode {
    /// Checks and wraps a mode such as `0o644`.
    pub fn new(mode: u16) -> Result<Self, ValueError> {
        if mode > 0o1777 {
            return Err(form(
                "access mode",
                &format!("{mode:o}"),
                "the most is 1777",
            ));
        }
        Ok(Self(mode))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl FromStr for Mode {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mode = u16::from_str_radix(text, 8);
        Self::new(mode.map_err(|_| form("access mode", text, "write octal digits"))?)
    }
}

value_by_text!(ToolsTree, Mode);
