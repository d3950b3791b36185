//! Marshalled values ⇄ text, exactly as the original peer's: every text is escaped twice, containers have ids, all is ASCII.
//! Reading never panics and never takes more memory than a limit; nothing is made that SLAP does not know.

use crate::shape::ShapeError;

mod read;
pub(crate) mod tokens;
mod write;

pub use read::{Limits, XmlError, read, read_within};
pub use write::write;
pub(crate) use write::{escaped, is_xml_char};

/// Why a document is not what was expected.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It cannot be read at all.
    #[error("the document cannot be read")]
    Unreadable(#[from] XmlError),
    /// It says something else.
    #[error("the document is not what was expected")]
    Unexpected(#[from] ShapeError),
}

#[cfg(test)]
mod tests;
