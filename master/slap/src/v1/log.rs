//! Who did what when, as operators read it.

use serde::{Deserialize, Serialize};

/// Most entries that one answer has.
pub const LOG_MOST: u32 = 1000;

/// `GET /v1/log`: what is asked for. With neither `after` nor `since` it is the newest entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuery {
    /// Those after the entry of this number, the first of them first.
    pub after: Option<i64>,
    /// None that is older than this, in seconds since 1970.
    pub since: Option<i64>,
    /// How many at most; 100 when nothing is said, and never more than [`LOG_MOST`].
    pub limit: Option<u32>,
}

/// `GET /v1/log`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// In the order in which it happened.
    pub entries: Vec<LogEntry>,
}

/// Something that was done. It stays for ever, and is never another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Its place in the order: what is asked for with `after` to read on.
    pub number: i64,
    /// When, in seconds since 1970.
    pub at: i64,
    /// Who did it: `urn:slapbox:operator:operator-1`, an address that tried to enrol, `master` itself.
    pub actor: String,
    /// What: `request`, `create token`, …
    pub action: String,
    /// What with: `SOFTINST-9`.
    pub subject: String,
    /// What else there is to say.
    #[serde(default)]
    pub detail: String,
}
