//! Properties of units as typed data, so that what confines a program can be built and tested without a bus.

use std::fmt;

use zbus::{OwnedVariant, Variant};

/// A property of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    pub name: &'static str,
    pub value: Value,
}

/// A value in one of the shapes that systemd takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Texts(Vec<String>),
    Flag(bool),
    /// A number of 32 bits.
    Small(u32),
    /// A number of 32 bits that may be negative: signals.
    Signed(i32),
    /// A number of 64 bits: sizes, sets of bits, times in microseconds.
    Large(u64),
    /// A list of what is allowed (or, with false, not).
    Allowed(bool, Vec<String>),
    /// Source, destination, and whether a missing source is passed over.
    Binds(Vec<(String, String, bool)>),
    /// Where, and with which options.
    TemporaryFolders(Vec<(String, String)>),
    /// A program with its arguments, its own name first.
    Command(Vec<String>),
    /// How a socket listens and where; a device and what may be done with it.
    Pairs(Vec<(String, String)>),
    /// What a program reads.
    Bytes(Vec<u8>),
}

/// Builds a property.
pub fn property(name: &'static str, value: impl Into<Value>) -> Property {
    Property {
        name,
        value: value.into(),
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Small(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Signed(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Large(number)
    }
}

impl From<Vec<String>> for Value {
    fn from(texts: Vec<String>) -> Self {
        Self::Texts(texts)
    }
}

impl From<&Value> for OwnedVariant {
    fn from(value: &Value) -> Self {
        let variant: Variant<'static> = match value {
            Value::Text(text) => text.clone().into(),
            Value::Texts(texts) => texts.clone().into(),
            Value::Flag(flag) => (*flag).into(),
            Value::Small(number) => (*number).into(),
            Value::Signed(number) => (*number).into(),
            Value::Large(number) => (*number).into(),
            Value::Allowed(allowed, names) => (*allowed, names.clone()).into(),
            Value::Binds(binds) => {
                /// What systemd calls `rbind`.
                const RECURSIVE: u64 = libc::MS_REC;
                let binds = binds.iter().cloned();
                let binds = binds.map(|(from, to, optional)| (from, to, optional, RECURSIVE));
                binds.collect::<Vec<_>>().into()
            }
            Value::TemporaryFolders(pairs) | Value::Pairs(pairs) => pairs.clone().into(),
            Value::Bytes(bytes) => bytes.clone().into(),
            Value::Command(arguments) => {
                let program = arguments.first().cloned().unwrap_or_default();
                vec![(program, arguments.clone(), false)].into()
            }
        };
        variant
            .try_into_owned()
            .expect("only a descriptor cannot be owned")
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

/// As a unit file would have it, more or less: for people.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Texts(texts) | Self::Command(texts) => f.write_str(&texts.join(" ")),
            Self::Flag(true) => f.write_str("yes"),
            Self::Flag(false) => f.write_str("no"),
            Self::Small(number) => number.fmt(f),
            Self::Signed(number) => number.fmt(f),
            Self::Large(number) => number.fmt(f),
            Self::Allowed(true, names) => f.write_str(&names.join(" ")),
            Self::Allowed(false, names) => write!(f, "~{}", names.join(" ")),
            Self::Binds(binds) => {
                let binds = binds.iter().map(|(from, to, optional)| {
                    let optional = if *optional { "-" } else { "" };
                    format!("{optional}{from}:{to}")
                });
                f.write_str(&binds.collect::<Vec<_>>().join(" "))
            }
            Self::Bytes(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
            Self::Pairs(pairs) => {
                let pairs = pairs.iter().map(|(one, other)| format!("{one} {other}"));
                f.write_str(&pairs.collect::<Vec<_>>().join(", "))
            }
            Self::TemporaryFolders(folders) => {
                let folders = folders
                    .iter()
                    .map(|(path, options)| format!("{path}:{options}"));
                f.write_str(&folders.collect::<Vec<_>>().join(" "))
            }
        }
    }
}
