//! Forms of values that only sysupdate.d has.

use std::fmt;
use std::str::FromStr;

use crate::text::form;
use crate::value::{ValueError, value_by_text};

/// How many versions of a resource are kept: at least two, or an update would replace what runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instances(u32);

impl Instances {
    /// The two slots of an A/B scheme.
    pub const TWO: Self = Self(2);

    /// Checks and wraps a number of versions.
    pub fn new(count: u32) -> Result<Self, ValueError> {
        if count < 2 {
            return Err(form(
                "number of instances",
                &count.to_string(),
                "at least 2: one runs while the other is written",
            ));
        }
        Ok(Self(count))
    }

    /// Returns the number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Instances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Instances {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let count = text.parse();
        Self::new(count.map_err(|_| form("number of instances", text, "write a decimal number"))?)
    }
}

value_by_text!(Instances);
