//! Sizes in bytes, printed in the largest unit that is exact.

use std::fmt;
use std::str::FromStr;

use crate::text::form;
use crate::value::{ValueError, value_by_text};

const UNITS: [(char, u32); 4] = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];

/// A size in bytes; `K`, `M`, `G` and `T` are powers of 1024.
///
/// ```
/// use mkosi_config_builder::Size;
/// assert_eq!(Size::mib(512).to_string(), "512M");
/// assert_eq!(Size::mib(1024).to_string(), "1G");
/// assert_eq!("1.5G".parse::<Size>().is_err(), true);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    /// Returns a size of so many bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Returns a size of so many KiB.
    pub const fn kib(count: u32) -> Self {
        Self((count as u64) << 10)
    }

    /// Returns a size of so many MiB.
    pub const fn mib(count: u32) -> Self {
        Self((count as u64) << 20)
    }

    /// Returns a size of so many GiB.
    pub const fn gib(count: u32) -> Self {
        Self((count as u64) << 30)
    }

    /// Returns the number of bytes.
    pub const fn as_bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS
            .iter()
            .find(|(_, shift)| self.0 != 0 && self.0.is_multiple_of(1 << shift));
        match unit {
            Some((letter, shift)) => write!(f, "{}{letter}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Size {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refusal = || {
            form(
                "size",
                text,
                "write whole bytes, or a whole number with K, M, G or T",
            )
        };
        let unit = UNITS.iter().find(|(letter, _)| text.ends_with(*letter));
        let (digits, shift) =
            unit.map_or((text, 0), |(_, shift)| (&text[..text.len() - 1], *shift));
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(refusal());
        }
        let count: u64 = digits.parse().map_err(|_| refusal())?;
        count.checked_mul(1 << shift).map(Self).ok_or_else(refusal)
    }
}

value_by_text!(Size);
