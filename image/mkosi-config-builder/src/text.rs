//! Texts that are safe behind a `=`: one line, and nothing the readers of these files take for syntax.

use crate::value::{Value, ValueError, value_by_text};

/// Defines a newtype over `String` with a rule for the text in it.
macro_rules! checked_text {
    ($(#[$meta:meta])* pub struct $name:ident, $rule:path) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks the text and wraps it.
            pub fn new(text: impl Into<String>) -> Result<Self, $crate::value::ValueError> {
                let text = text.into();
                $rule(&text)?;
                Ok(Self(text))
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::value::ValueError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = $crate::value::ValueError;

            fn try_from(text: &str) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::value::ValueError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }
    };
}
pub(crate) use checked_text;

checked_text! {
    /// One line of text: a description, a host name, a version.
    ///
    /// ```
    /// use mkosi_config_builder::Text;
    /// assert!(Text::new("Etc/UTC").is_ok());
    /// assert!(Text::new("x\nBootable=no").is_err());
    /// ```
    pub struct Text, text
}
checked_text! {
    /// A text without spaces, quotes or backslashes: an argument of the kernel, `NAME=value`.
    pub struct Word, word
}
checked_text! {
    /// A [`Word`] without commas: an item of a list, such as a package.
    pub struct Item, item
}
checked_text! {
    /// Letters, digits, `.`, `_`, `-`, `+`, `~`, beginning with a letter or digit: a name fit for a file.
    pub struct Name, name
}
value_by_text!(Text, Item, Name);

impl Value for Word {
    fn render(&self) -> String {
        self.0.clone()
    }

    fn read(text: &str) -> Result<Self, ValueError> {
        text.parse()
    }

    fn split(text: &str) -> Vec<&str> {
        text.split_whitespace().collect()
    }
}

fn text(text: &str) -> Result<(), ValueError> {
    line("text", text)
}

fn word(text: &str) -> Result<(), ValueError> {
    line("word", text)?;
    refuse("word", text, char::is_whitespace, "it separates words")?;
    refuse("word", text, is_quote, "readers differ in how they unquote")
}

fn item(text: &str) -> Result<(), ValueError> {
    word(text)?;
    refuse(
        "item",
        text,
        |c| c == ',',
        "it separates items: give each its own",
    )
}

fn name(text: &str) -> Result<(), ValueError> {
    line("name", text)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-+~".contains(c);
    refuse(
        "name",
        text,
        |c| !allowed(c),
        "use letters, digits and `._-+~`",
    )?;
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(form("name", text, "begin it with a letter or a digit"));
    }
    Ok(())
}

/// Checks what every text must obey.
pub(crate) fn line(kind: &'static str, text: &str) -> Result<(), ValueError> {
    if text.is_empty() {
        return Err(ValueError::Empty { kind });
    }
    refuse(
        kind,
        text,
        |c| c.is_control() || "\u{2028}\u{2029}".contains(c),
        "a value is one line",
    )?;
    refuse(kind, text, |c| c == '#', "it begins a comment")?;
    if text.trim() != text {
        return Err(form(kind, text, "readers drop the space at its ends"));
    }
    if text.ends_with('\\') {
        return Err(form(
            kind,
            text,
            "a backslash at the end joins the next line to it",
        ));
    }
    Ok(())
}

pub(crate) fn refuse(
    kind: &'static str,
    text: &str,
    bad: impl Fn(char) -> bool,
    reason: &'static str,
) -> Result<(), ValueError> {
    match text.chars().find(|c| bad(*c)) {
        None => Ok(()),
        Some(character) => Err(ValueError::Character {
            kind,
            text: text.to_owned(),
            character,
            reason,
        }),
    }
}

pub(crate) fn form(kind: &'static str, text: &str, reason: &'static str) -> ValueError {
    ValueError::Form {
        kind,
        text: text.to_owned(),
        reason,
    }
}

pub(crate) fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\')
}
