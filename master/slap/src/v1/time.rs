//! The time from a master that can be believed although the asker's clock is wrong: the CA's key signs it with the asker's nonce.

use serde::{Deserialize, Serialize};

/// `GET /v1/time?nonce=<base64url>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedTime {
    /// Seconds since 1970.
    pub time: i64,
    /// Base64url of the ECDSA P-256 SHA-256 signature (ASN.1) over [`signed_time_message`].
    pub signature: String,
    /// The same by the key of the CA before, as long as not everybody knows the one that follows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_signature: Option<String>,
}

/// Returns the bytes that the CA's key signs.
pub fn signed_time_message(nonce: &[u8], time: i64) -> Vec<u8> {
    [b"slapbox-time-v1\0".as_slice(), nonce, &time.to_be_bytes()].concat()
}

/// Fewest bytes of a nonce, so that no answer can be kept for a later asker.
pub const NONCE_MIN_BYTES: usize = 16;

/// Most bytes of a nonce.
pub const NONCE_MAX_BYTES: usize = 64;
