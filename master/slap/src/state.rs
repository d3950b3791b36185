//! What is wished of instances and of software, and how a tree's root rules its children.

/// A word that is none of the states.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no state; it must be {expected}")]
pub struct StateError {
    text: String,
    expected: &'static str,
}

impl StateError {
    pub(crate) fn new(text: &str, expected: &'static str) -> Self {
        Self {
            text: text.to_owned(),
            expected,
        }
    }
}

macro_rules! states {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Returns the word on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::state::StateError;

            fn from_str(text: &str) -> Result<Self, $crate::state::StateError> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    other => Err($crate::state::StateError::new(other, $expected)),
                }
            }
        }
    };
}

pub(crate) use states;

states!(
    /// What an instance shall be.
    RequestedState, "`started`, `stopped` or `destroyed`",
    /// It shall run.
    Started = "started",
    /// It shall be there and not run.
    Stopped = "stopped",
    /// It shall not be there.
    Destroyed = "destroyed"
);

states!(
    /// What a software release shall be on a computer.
    SupplyState, "`available` or `destroyed`",
    /// It shall be installed.
    Available = "available",
    /// It shall not be there.
    Destroyed = "destroyed"
);

states!(
    /// What a node last said of an instance.
    InstanceReport, "`started`, `stopped`, `destroyed` or `error`",
    /// It runs and keeps its promises.
    Started = "started",
    /// It is there and does not run.
    Stopped = "stopped",
    /// Nothing is left of it.
    Destroyed = "destroyed",
    /// It is not what it shall be.
    Error = "error"
);

states!(
    /// What a node last said of a software release.
    SoftwareReport, "`building`, `available`, `destroyed` or `error`",
    /// It is being fetched or built.
    Building = "building",
    /// It can be run.
    Available = "available",
    /// Nothing is left of it.
    Destroyed = "destroyed",
    /// It cannot be had.
    Error = "error"
);

impl RequestedState {
    /// Returns what an instance of a tree shall be when the tree's root shall be `root`: no child outlives or outruns it.
    pub fn under(self, root: Self) -> Self {
        // The order of the variants: the later, the less it does.
        self.max(root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_state_is_refused_with_the_choice() {
        let refused = "running".parse::<RequestedState>().unwrap_err().to_string();
        assert_eq!(
            refused,
            "`running` is no state; it must be `started`, `stopped` or `destroyed`"
        );
    }

    #[test]
    fn no_child_outruns_its_root() {
        use RequestedState::{Destroyed, Started, Stopped};
        let all = [Started, Stopped, Destroyed];
        for root in all {
            for child in all {
                let expected = match (root, child) {
                    (Destroyed, _) | (_, Destroyed) => Destroyed,
                    (Stopped, _) | (_, Stopped) => Stopped,
                    (Started, Started) => Started,
                };
                assert_eq!(child.under(root), expected);
            }
        }
    }
}
