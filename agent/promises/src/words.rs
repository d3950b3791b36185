//! What agent and program say to each other: a JSON line each, over standard input and output. Pure.

use std::time::Duration;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// What the program is told once, as its only argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The partition's directory.
    pub folder: Utf8PathBuf,
    /// What the partition is called: `slappart3`.
    pub partition: String,
    /// What the master calls the computer.
    pub computer: String,
    /// Where the master is.
    pub master: String,
    /// The partition's certificate and key, where it has them.
    pub certificate: Option<Utf8PathBuf>,
    pub key: Option<Utf8PathBuf>,
    /// What runs plugins; nothing where the release has no Python.
    pub python: Option<String>,
    /// How many seconds a promise may take.
    pub seconds: u64,
}

/// What the agent says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    /// What was known is known no more: test all promises until they are kept, then keep watching.
    Check {
        /// Comes back in the answers, so that none is taken for one to an older request.
        round: u64,
    },
    /// Look at all of them now, due or not.
    Now,
    /// Look at none until the next check.
    Pause,
}

/// What the program says, whenever it is another thing than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub round: u64,
    /// Why the promises are not kept; nothing if they are.
    pub broken: Option<String>,
}

/// How long a promise may be broken before that counts, while programs come up.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// The longest message that is kept of a promise, in characters.
pub const LONGEST_MESSAGE: usize = 5000;

impl Settings {
    /// Returns how long a promise may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_one_line() {
        let lines = [
            serde_json::to_string(&Request::Check { round: 3 }).unwrap(),
            serde_json::to_string(&Request::Now).unwrap(),
            serde_json::to_string(&Answer {
                round: 3,
                broken: Some("a\nb".into()),
            })
            .unwrap(),
        ];
        assert_eq!(
            lines,
            [
                r#"{"check":{"round":3}}"#,
                r#""now""#,
                r#"{"round":3,"broken":"a\nb"}"#
            ]
        );
    }
}
