//! The JSON that Slapbox adds to SLAP under `/v1/`: what is asked, what is answered, and the one form of errors.
//!
//! Fields that are missing take their default and unknown fields are ignored, so that either side may be the older one.

use serde::{Deserialize, Serialize};

mod cache;
mod computers;
mod enrolment;
mod log;
mod releases;
mod report;
mod services;
mod time;
mod tokens;
mod usage;
mod users;

pub use cache::{
    CACHE_ENTRY_HEADER, CACHE_ENTRY_MAX_BYTES, CACHE_SIGNATURE_HEADER, CACHE_SIGNATURE_MAX_BYTES,
    CACHE_VERSION, CacheEntry, CacheFile, CacheKey, CacheKeys, CacheName, CacheSystem,
    NotOfTheCache, Sha256Hex, TrustedKey,
};
pub use computers::{Computer, ComputerState, Computers, Software};
pub use enrolment::{EnrolReply, EnrolRequest, Inventory, RenewReply, RenewRequest, Wanted};
pub use log::{LOG_MOST, Log, LogEntry, LogQuery};
pub use releases::{Release, ReleaseName, ReleaseNameError, Releases};
pub use report::{Failure, NodeReport, OverlayReport, PartitionsReport};
pub use services::{IpAddress, Service, Services};
pub use time::{NONCE_MAX_BYTES, NONCE_MIN_BYTES, SignedTime, signed_time_message};
pub use tokens::{JoinLine, NewToken, Token, TokenKind, TokenRequest, Tokens};
pub use usage::{DayUsage, PartitionUsage};
pub use users::{
    Membership, NewProject, Project, Projects, Role, RoleRequest, User, UserKind, UserState, Users,
};

/// `GET /v1/`: which of the extensions a master has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovery {
    /// The version of this interface: 1.
    pub version: u32,
    /// `watch`, `report`, `enrol`, `forward`, `cache`, `re6st`.
    pub endpoints: Vec<String>,
}

/// `GET /v1/watch?computer_id=…&since=…`: answered when the generation is no longer `since`, or after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Moves whenever the desired state of the computer does.
    pub generation: u64,
}

/// What every refusal under `/v1/` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// A code for programs: `token_refused`, `revoked`, `bad_request`, `slow_down`, `not_found`, …
    pub error: String,
    /// Words for people.
    pub message: String,
}

/// The value of `Upgrade:` that `/v1/forward` speaks.
pub const FORWARD_PROTOCOL: &str = "slapbox-forward";

/// Longest time that `/v1/watch` is held open.
pub const WATCH_SECONDS: u64 = 50;
