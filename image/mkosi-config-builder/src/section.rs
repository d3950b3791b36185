//! Sections of a file: the structs that own them, and the one place that prints them.

use std::fmt;

use crate::value::ValueError;

/// One section as text: what a struct says, before it is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub title: &'static str,
    /// Settings in the order they are printed, each with one value or many.
    pub entries: Vec<(&'static str, Vec<String>)>,
}

impl Section {
    /// Returns each value with its setting.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let entries = self.entries.iter();
        entries.flat_map(|(key, values)| values.iter().map(move |value| (*key, value.as_str())))
    }
}

/// How a setting with many values is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One setting, each value on an indented line of its own (mkosi).
    Indented,
    /// The setting again for each value (systemd).
    Repeated,
}

/// A struct that is a section.
pub(crate) trait Sectioned {
    const TITLE: &'static str;
    const KEYS: &'static [&'static str];

    fn section(&self) -> Section;

    /// Sets the field behind `key`; false when there is none.
    fn accept(&mut self, key: &str, text: &str) -> Result<bool, ValueError>;
}

/// Defines a struct whose fields are the settings of one section.
macro_rules! section {
    ($(#[$meta:meta])* pub struct $name:ident [$title:literal] {
        $( $(#[$field_meta:meta])* $field:ident: $type:ty = $key:literal, )*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $( $(#[$field_meta])* #[doc = concat!("`", $key, "=`")] pub $field: $type, )*
        }

        impl $crate::section::Sectioned for $name {
            const TITLE: &'static str = $title;
            const KEYS: &'static [&'static str] = &[$( $key ),*];

            fn section(&self) -> $crate::section::Section {
                let entries = vec![$( ($key, $crate::value::Field::values(&self.$field)) ),*];
                $crate::section::Section {
                    title: $title,
                    entries: entries.into_iter().filter(|(_, values)| !values.is_empty()).collect(),
                }
            }

            fn accept(&mut self, key: &str, text: &str) -> Result<bool, $crate::value::ValueError> {
                match key {
                    $( $key => $crate::value::Field::accept(&mut self.$field, text)?, )*
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }
    };
}
pub(crate) use section;

/// Prints an optional comment and the sections that say something.
pub(crate) fn print(
    f: &mut fmt::Formatter<'_>,
    comment: Option<&crate::Text>,
    sections: &[Section],
    layout: Layout,
) -> fmt::Result {
    if let Some(comment) = comment {
        writeln!(f, "# {comment}")?;
    }
    let mut gap = comment.is_some();
    for section in sections.iter().filter(|it| !it.entries.is_empty()) {
        if gap {
            writeln!(f)?;
        }
        gap = true;
        writeln!(f, "[{}]", section.title)?;
        for (key, values) in &section.entries {
            entry(f, key, values, layout)?;
        }
    }
    Ok(())
}

fn entry(f: &mut fmt::Formatter<'_>, key: &str, values: &[String], layout: Layout) -> fmt::Result {
    match (layout, values) {
        (_, [value]) => writeln!(f, "{key}={value}"),
        (Layout::Indented, _) => {
            writeln!(f, "{key}=")?;
            values
                .iter()
                .try_for_each(|value| writeln!(f, "        {value}"))
        }
        (Layout::Repeated, _) => values
            .iter()
            .try_for_each(|value| writeln!(f, "{key}={value}")),
    }
}
