//! WireGuard's keys as types. Pure: randomness comes from the caller.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// Length of every key.
pub const KEY_LENGTH: usize = 32;

/// A text that is no key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a WireGuard key is 32 bytes in base64")]
pub struct NotAKey;

/// Names a peer, and is all that others need to talk to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PublicKey(pub [u8; KEY_LENGTH]);

/// A node's secret, which never leaves it.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey([u8; KEY_LENGTH]);

impl PrivateKey {
    /// Makes a key of random bytes, with the bits set that Curve25519 and the kernel demand.
    pub fn new(mut bytes: [u8; KEY_LENGTH]) -> Self {
        bytes[0] &= 248;
        bytes[31] = (bytes[31] & 127) | 64;
        Self(bytes)
    }

    /// Returns the secret bytes.
    pub fn reveal(&self) -> &[u8; KEY_LENGTH] {
        &self.0
    }

    /// Returns the secret as the text that `wg` reads.
    pub fn reveal_text(&self) -> String {
        STANDARD.encode(self.0)
    }
}

impl FromStr for PrivateKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        parse(text).map(Self::new)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

impl FromStr for PublicKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        parse(text).map(Self)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = NotAKey;

    fn try_from(text: String) -> Result<Self, NotAKey> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

fn parse(text: &str) -> Result<[u8; KEY_LENGTH], NotAKey> {
    let bytes = STANDARD.decode(text.trim()).map_err(|_| NotAKey)?;
    bytes.try_into().map_err(|_| NotAKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_is_never_shown() {
        let key = PrivateKey::new([7; KEY_LENGTH]);
        assert_eq!(format!("{key:?}"), "PrivateKey(…)");
        assert_eq!(key.reveal_text().parse(), Ok(key));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in [
            "",
            "short",
            "8bdQrVLqiw3ZoHCucNh1YfH0iCWuyStniRr8t7H24F",
            "%%%",
        ] {
            assert_eq!(text.parse::<PublicKey>(), Err(NotAKey), "{text}");
        }
        let text = "8bdQrVLqiw3ZoHCucNh1YfH0iCWuyStniRr8t7H24Fk=";
        assert_eq!(text.parse::<PublicKey>().unwrap().to_string(), text);
    }
}
