//! Closed sets of words (`disk`, `directory`, …) as enums that print and read themselves.

use crate::nearest::nearest;
use crate::value::ValueError;

/// Defines an enum whose variants each have one spelling in the file.
macro_rules! choice {
    ($(#[$meta:meta])* pub enum $name:ident $kind:literal { $( $(#[$variant_meta:meta])* $variant:ident = $word:literal, )* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[$variant_meta])* #[doc = concat!("`", $word, "`")] $variant, )* }

        impl $name {
            /// All of them, in the order of their definition.
            pub const ALL: &'static [Self] = &[$( Self::$variant ),*];

            /// Returns the word that stands in the file.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::value::ValueError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|it| it.as_str() == text)
                    .ok_or_else(|| $crate::choice::refuse($kind, text, &[$( $word ),*]))
            }
        }

        $crate::value::value_by_text!($name);
    };
}
pub(crate) use choice;

/// Returns the refusal of a word that is not in the set, with the nearest one that is.
pub(crate) fn refuse(kind: &'static str, text: &str, words: &[&'static str]) -> ValueError {
    ValueError::Choice {
        kind,
        text: text.to_owned(),
        suggestion: nearest(text, words.iter().copied()),
        choices: words.join(", "),
    }
}
