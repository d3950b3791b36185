//! 128-bit identifiers: seeds, partition UUIDs, types of partitions.

use std::fmt;
use std::str::FromStr;

use crate::text::form;
use crate::value::{ValueError, value_by_text};

/// A 128-bit identifier or seed.
///
/// ```
/// use mkosi_config_builder::Uuid;
/// let seed: Uuid = "01234567-89AB-cdef-0123-456789abcdef".parse()?;
/// assert_eq!(seed.to_string(), "01234567-89ab-cdef-0123-456789abcdef");
/// # Ok::<(), mkosi_config_builder::ValueError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// Wraps sixteen bytes, in the order they are printed.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the sixteen bytes, in the order they are printed.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Uuid {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refusal = || {
            form(
                "UUID",
                text,
                "write 32 hexadecimal digits, with or without the four dashes",
            )
        };
        let dashed = text.len() == 36
            && [8, 13, 18, 23]
                .iter()
                .all(|&at| text.as_bytes()[at] == b'-');
        let digits: String = text.chars().filter(|c| !dashed || *c != '-').collect();
        if digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(refusal());
        }
        let number = u128::from_str_radix(&digits, 16).map_err(|_| refusal())?;
        Ok(Self(number.to_be_bytes()))
    }
}

value_by_text!(Uuid);
