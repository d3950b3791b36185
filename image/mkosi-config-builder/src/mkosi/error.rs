//! What is wrong with a `mkosi.conf`, in words that say what to change.

use thiserror::Error;

use crate::setting::UnknownSetting;
use crate::value::ValueError;

/// Why a configuration of mkosi is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// Two settings that cannot both be meant.
    #[error("{these} contradict each other: {reason}; {remedy}")]
    Contradiction {
        these: String,
        reason: &'static str,
        remedy: &'static str,
    },
    /// A setting that another one needs.
    #[error("{setting} needs {missing}: {remedy}")]
    Missing {
        setting: String,
        missing: &'static str,
        remedy: &'static str,
    },
    /// A value outside of what mkosi takes.
    #[error("{setting} is out of range: {remedy}")]
    Range {
        setting: String,
        remedy: &'static str,
    },
    /// A `%` that mkosi would drop.
    #[error(
        "{setting} holds the specifier `{specifier}`, which mkosi does not know and would drop: write `%%` for a percent sign"
    )]
    Specifier { setting: String, specifier: String },
    #[error("line {line} is neither a [Section], a comment nor `Name=value`: {text:?}")]
    Line { line: usize, text: String },
    #[error("`{name}=` on line {line} stands before any [Section]")]
    NoSection { line: usize, name: String },
    #[error("failed to read line {line}")]
    Setting {
        line: usize,
        #[source]
        error: UnknownSetting,
    },
    #[error("failed to read `{name}=` on line {line}")]
    Value {
        line: usize,
        name: String,
        #[source]
        error: ValueError,
    },
}
