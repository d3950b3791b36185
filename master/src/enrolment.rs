//! Who is let in: pure decisions over what the store knows, the token that was shown and the key that asks.
//! No clock, no store, no HTTP. What a refusal really was goes into the audit; the caller learns one answer for all.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use slap::v1::{Role, UserKind, Wanted};
use subtle::ConstantTimeEq;

use crate::clock::Moment;
use crate::identity::{ComputerId, ProjectName, UserName};

/// What a token makes of its bearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    Node,
    User(UserKind),
}

impl TokenKind {
    /// Returns the word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::User(kind) => kind.as_str(),
        }
    }
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TokenKind {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        if word == "node" {
            return Ok(Self::Node);
        }
        word.parse().map(Self::User).map_err(|_| UnknownWord {
            what: "kind of token",
            word: word.to_owned(),
        })
    }
}

/// A token as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub id: String,
    pub secret: SecretDigest,
    pub kind: TokenKind,
    pub uses: u32,
    pub used: u32,
    pub expires_at: Moment,
    pub auto_approve: bool,
    pub labels: BTreeMap<String, String>,
    pub expected_serial: Option<String>,
    /// Of a user: who the bearer becomes.
    pub name: Option<UserName>,
    /// What the bearer belongs to from then on.
    pub project: Option<ProjectName>,
    /// Of a user: what they may do there.
    pub role: Option<Role>,
    pub created_at: Moment,
    pub created_by: String,
    pub revoked: bool,
}

/// The SHA-256 of a token's secret, in hexadecimal.
///
/// A slow hash would add nothing: it protects what people choose, and this secret is 256 random bits, which nobody guesses from its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretDigest(String);

impl SecretDigest {
    /// Returns the digest of a secret.
    pub fn of(secret: &str) -> Self {
        let digest = Sha256::digest(secret.as_bytes());
        Self(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Returns a digest that was stored.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// Returns the text to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn matches(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

/// Where a computer stands with the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComputerState {
    /// It showed a good token and waits for an operator.
    Pending,
    /// It may fetch its certificate.
    Approved,
    /// It has its certificate.
    Enrolled,
    /// It is shut out for good.
    Revoked,
}

/// Why somebody is not let in. Only `OtherKind` and the two that are revoked are told to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no such token")]
    UnknownToken,
    #[error("the token's secret is wrong")]
    WrongSecret,
    #[error("the token is revoked")]
    TokenRevoked,
    #[error("the token has expired")]
    TokenExpired,
    #[error("the token is used up")]
    TokenUsedUp,
    #[error("the token is for a machine with another serial number")]
    OtherSerial,
    #[error("the token is for a {0}, which is not what the caller means to become")]
    OtherKind(TokenKind),
    #[error("the computer with this key is revoked")]
    ComputerRevoked,
    #[error("the user of this name is revoked")]
    UserRevoked,
}

/// Checks the token that was shown.
///
/// A key that redeemed this token before is not asked for a use or for time that is left: its answer was lost, or it waits to be approved.
pub fn check_token<'a>(
    token: Option<&'a Token>,
    secret: &str,
    redeemed_by_this_key: bool,
    serial: &str,
    now: Moment,
) -> Result<&'a Token, Refusal> {
    // The same work for an unknown id, so that time tells nothing.
    let shown = SecretDigest::of(secret);
    let kept = token.map_or_else(|| SecretDigest::of(""), |token| token.secret.clone());
    let right = kept.matches(&shown);
    let token = token.ok_or(Refusal::UnknownToken)?;
    if !right {
        return Err(Refusal::WrongSecret);
    }
    if token.revoked {
        return Err(Refusal::TokenRevoked);
    }
    if token
        .expected_serial
        .as_ref()
        .is_some_and(|expected| expected != serial)
    {
        return Err(Refusal::OtherSerial);
    }
    if redeemed_by_this_key {
        return Ok(token);
    }
    if now >= token.expires_at {
        return Err(Refusal::TokenExpired);
    }
    if token.used >= token.uses {
        return Err(Refusal::TokenUsedUp);
    }
    Ok(token)
}

/// Checks that a good token makes of its bearer what they mean to become, if they say so.
pub fn check_kind(token: &Token, wanted: Option<Wanted>) -> Result<(), Refusal> {
    match (wanted, token.kind) {
        (None, _)
        | (Some(Wanted::Node), TokenKind::Node)
        | (Some(Wanted::User), TokenKind::User(_)) => Ok(()),
        (Some(Wanted::Node), TokenKind::User(_)) | (Some(Wanted::User), TokenKind::Node) => {
            Err(Refusal::OtherKind(token.kind))
        }
    }
}

/// What becomes of the computer whose key asks with a good token: its next state.
///
/// `known` is the state of the computer that has this key already.
pub fn admit(known: Option<ComputerState>, auto_approve: bool) -> Result<ComputerState, Refusal> {
    match (known, auto_approve) {
        (Some(ComputerState::Revoked), _) => Err(Refusal::ComputerRevoked),
        (Some(ComputerState::Approved | ComputerState::Enrolled), _) | (_, true) => {
            Ok(ComputerState::Enrolled)
        }
        (None | Some(ComputerState::Pending), false) => Ok(ComputerState::Pending),
    }
}

/// What of a computer tells clones apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    pub computer: ComputerId,
    pub smbios_uuid: String,
}

/// A sign that two machines claim to be one, or one to be two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub computer: ComputerId,
    pub text: String,
}

/// Returns what an operator should look at when `computer`, known with its key as `kept_uuid`, shows itself with `shown_uuid`,
/// and `others` are the computers with other keys and that same UUID.
pub fn clones(
    computer: &ComputerId,
    kept_uuid: &str,
    shown_uuid: &str,
    others: &[ComputerId],
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if kept_uuid != shown_uuid {
        warnings.push(Warning {
            computer: computer.clone(),
            text: format!(
                "its key is also on a machine with SMBIOS UUID {}",
                or_none(shown_uuid)
            ),
        });
    }
    if is_telling(shown_uuid) {
        for other in others {
            let says = |of: &ComputerId, twin: &ComputerId| Warning {
                computer: of.clone(),
                text: format!("{twin} has another key and the same SMBIOS UUID {shown_uuid}"),
            };
            warnings.push(says(computer, other));
            warnings.push(says(other, computer));
        }
    }
    warnings
}

fn or_none(uuid: &str) -> &str {
    if uuid.is_empty() { "(none)" } else { uuid }
}

/// Many boards carry no UUID, or one that thousands share.
fn is_telling(uuid: &str) -> bool {
    const JUNK: [&str; 2] = [
        "03000200-0400-0500-0006-000700080009",
        "12345678-1234-5678-90ab-cddeefaabbcc",
    ];
    let digits: Vec<u8> = uuid.bytes().filter(u8::is_ascii_hexdigit).collect();
    let uniform = digits.iter().all(|digit| Some(digit) == digits.first());
    !uniform && !JUNK.contains(&uuid.to_ascii_lowercase().as_str())
}

macro_rules! words {
    ($type:ident, $what:literal, $($variant:ident = $word:literal),+) => {
        impl $type {
            /// Returns the word that is stored and shown.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl FromStr for $type {
            type Err = UnknownWord;
            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord { what: $what, word: word.to_owned() }),
                }
            }
        }
    };
}
/// A word that stands for nothing.
#[derive(Debug, thiserror::Error)]
#[error("`{word}` is no {what}")]
pub struct UnknownWord {
    pub what: &'static str,
    pub word: String,
}

words!(
    ComputerState,
    "state of a computer",
    Pending = "pending",
    Approved = "approved",
    Enrolled = "enrolled",
    Revoked = "revoked"
);

#[cfg(test)]
mod tests;
