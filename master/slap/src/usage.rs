//! Usage as nodes report it ("TioXML"): what a partition says it used, and the journal of transactions that a node makes of it. The
//! shapes are those of `partition_consumption.xsd` and `computer_consumption.xsd` of the original, element for element.

use std::fmt;
use std::str::FromStr;

use crate::value::float_text;
use crate::xml::XmlError;

mod read;
mod write;

/// What one partition used, in its own words: a file in its `var/xml_report`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumption {
    /// At least one.
    pub movements: Vec<Movement>,
}

/// What a computer and its partitions used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// At least one.
    pub transactions: Vec<Transaction>,
}

/// One report of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// `Sale Packing List`.
    pub kind: String,
    /// What it is called.
    pub title: Option<String>,
    /// When it begins, in words; often empty.
    pub start_date: String,
    /// When it ends: `2026-11-20 at 23:59:59`.
    pub stop_date: String,
    /// Which computer.
    pub reference: String,
    /// Of the prices; mostly empty.
    pub currency: String,
    /// Mostly empty.
    pub payment_mode: String,
    /// Mostly one, and empty.
    pub categories: Vec<String>,
    /// At least one.
    pub arrows: Vec<Arrow>,
    /// At least one.
    pub movements: Vec<Movement>,
}

/// From whom to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrow {
    /// `Administration`.
    pub kind: String,
    /// From whom; mostly empty.
    pub source: Option<String>,
    /// To whom; mostly empty.
    pub destination: Option<String>,
}

/// So much of something, used by somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// What: `service_module/cpu_load_percent`.
    pub resource: String,
    /// What people call it.
    pub title: Option<String>,
    /// Who used it: a partition or the computer.
    pub reference: Option<String>,
    /// How much.
    pub quantity: Amount,
    /// At which price.
    pub price: Amount,
    /// Mostly empty.
    pub vat: String,
    /// Mostly one, and empty.
    pub categories: Vec<String>,
}

/// A number as it was written, so that passing it on changes no digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount(String);

/// A text that is no number as XML Schema's `float` writes them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no number")]
pub struct NotAnAmount(String);

impl From<f64> for Amount {
    fn from(number: f64) -> Self {
        Self(if number.is_nan() {
            "NaN".to_owned()
        } else if number.is_infinite() {
            if number > 0.0 { "INF" } else { "-INF" }.to_owned()
        } else {
            float_text(number)
        })
    }
}

impl FromStr for Amount {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let trimmed = text.trim_matches([' ', '\t', '\r', '\n']);
        let decimal = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
        // Rust reads more than XML Schema allows: `inf`, `nan`.
        let is_one = matches!(trimmed, "INF" | "-INF" | "NaN")
            || (trimmed.bytes().all(decimal) && trimmed.parse::<f64>().is_ok());
        is_one
            .then(|| Self(trimmed.to_owned()))
            .ok_or_else(|| NotAnAmount(text.to_owned()))
    }
}

impl Amount {
    /// Returns the number.
    pub fn value(&self) -> f64 {
        // `INF` and `NaN` are read in any case.
        self.0.parse().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A document that says nothing of use.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// It is no XML.
    #[error("the usage report cannot be read")]
    Unreadable(#[from] XmlError),
    /// An element that is missing, too much or at the wrong place.
    #[error(
        "the usage report has no `<{wanted}>` where one must be, in `<{inside}>`: found {found}"
    )]
    Misplaced {
        /// Inside which element.
        inside: String,
        /// What had to come.
        wanted: &'static str,
        /// What came.
        found: String,
    },
    /// Text where only elements are.
    #[error("`<{0}>` in the usage report has text of its own, where only elements may be")]
    StrayText(String),
    /// Elements where only text is.
    #[error("`<{0}>` in the usage report must be text, and has elements")]
    NotText(String),
    /// An attribute that is not known.
    #[error("`<{element}>` in the usage report has an attribute `{attribute}`, which it may not")]
    Attribute {
        /// Of which element.
        element: String,
        /// Which.
        attribute: String,
    },
    /// An attribute that must be there.
    #[error("`<{0}>` in the usage report has no attribute `type`")]
    NoType(&'static str),
    /// A number that is none.
    #[error("`<{element}>` in the usage report says `{text}`, which is no number")]
    NoNumber {
        /// Which element.
        element: &'static str,
        /// What it says.
        text: String,
    },
}

#[cfg(test)]
mod tests;
