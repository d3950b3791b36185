//! How one typed value becomes text in a configuration file, and how that text is read back.
//! Nothing here knows a setting by name.

use thiserror::Error;

/// Why a text is not a value of the kind wanted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ValueError {
    #[error("an empty text is no {kind}: leave the setting out")]
    Empty { kind: &'static str },
    #[error("{character:?} cannot stand in {kind} {text:?}: {reason}")]
    Character {
        kind: &'static str,
        text: String,
        character: char,
        reason: &'static str,
    },
    #[error("{text:?} is no {kind}: {reason}")]
    Form {
        kind: &'static str,
        text: String,
        reason: &'static str,
    },
    #[error("{text:?} is no {kind}{}: one of {choices}", suggestion.map(|it| format!(", did you mean `{it}`")).unwrap_or_default())]
    Choice {
        kind: &'static str,
        text: String,
        suggestion: Option<&'static str>,
        choices: String,
    },
}

/// A value that stands behind the `=` of a setting.
pub trait Value: Sized {
    /// Returns the text that stands in the file.
    fn render(&self) -> String;
    /// Reads such a text.
    fn read(text: &str) -> Result<Self, ValueError>;
    /// Splits the text of a list into the texts of its items.
    fn split(text: &str) -> Vec<&str> {
        text.split(',')
            .map(str::trim)
            .filter(|it| !it.is_empty())
            .collect()
    }
}

/// A field of a section: one value, perhaps a value, or many.
pub(crate) trait Field {
    fn values(&self) -> Vec<String>;
    /// Takes what a file says; an empty text resets, and lists grow.
    fn accept(&mut self, text: &str) -> Result<(), ValueError>;
}

impl<T: Value> Field for T {
    fn values(&self) -> Vec<String> {
        vec![self.render()]
    }

    fn accept(&mut self, text: &str) -> Result<(), ValueError> {
        *self = T::read(text)?;
        Ok(())
    }
}

impl<T: Value> Field for Option<T> {
    fn values(&self) -> Vec<String> {
        self.iter().map(T::render).collect()
    }

    fn accept(&mut self, text: &str) -> Result<(), ValueError> {
        *self = if text.is_empty() {
            None
        } else {
            Some(T::read(text)?)
        };
        Ok(())
    }
}

impl<T: Value> Field for Vec<T> {
    fn values(&self) -> Vec<String> {
        self.iter().map(T::render).collect()
    }

    fn accept(&mut self, text: &str) -> Result<(), ValueError> {
        if text.is_empty() {
            self.clear();
        }
        for line in text.lines() {
            for item in T::split(line) {
                self.push(T::read(item)?);
            }
        }
        Ok(())
    }
}

impl Value for bool {
    fn render(&self) -> String {
        if *self { "yes" } else { "no" }.to_owned()
    }

    fn read(text: &str) -> Result<Self, ValueError> {
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "y" | "t" | "on" => Ok(true),
            "0" | "false" | "no" | "n" | "f" | "off" => Ok(false),
            _ => Err(ValueError::Form {
                kind: "boolean",
                text: text.to_owned(),
                reason: "write `yes` or `no`",
            }),
        }
    }
}

/// Implements [`Value`] by a type's own `Display` and `FromStr<Err = ValueError>`.
macro_rules! value_by_text {
    ($($type:ty),* $(,)?) => { $(
        impl $crate::value::Value for $type {
            fn render(&self) -> String {
                self.to_string()
            }

            fn read(text: &str) -> Result<Self, $crate::value::ValueError> {
                text.parse()
            }
        }
    )* };
}

macro_rules! number {
    ($($type:ty),*) => { $(
        impl Value for $type {
            fn render(&self) -> String {
                self.to_string()
            }

            fn read(text: &str) -> Result<Self, ValueError> {
                text.parse().map_err(|_| ValueError::Form {
                    kind: "number",
                    text: text.to_owned(),
                    reason: concat!("it must fit ", stringify!($type)),
                })
            }
        }
    )* };
}

number!(i32, u16, u32, u64);
pub(crate) use value_by_text;

/// Reads many values at once, as `list(["systemd", "udev"])?`.
///
/// ```
/// use mkosi_config_builder::{Item, list};
/// let packages: Vec<Item> = list(["systemd", "udev"])?;
/// assert!(list::<Item>(["systemd\nPackages=ssh"]).is_err());
/// # Ok::<(), mkosi_config_builder::ValueError>(())
/// ```
pub fn list<T: Value>(
    items: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<Vec<T>, ValueError> {
    items
        .into_iter()
        .map(|item| T::read(item.as_ref()))
        .collect()
}
