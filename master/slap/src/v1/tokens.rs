//! Tokens as operators make and see them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Role;
use crate::id::{ProjectName, UserName};

/// What a token makes of its bearer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// A computer.
    #[default]
    Node,
    /// Somebody who may do everything.
    Operator,
    /// Somebody who may do what they have roles for.
    Person,
    /// As a person; people belong to it and may do what it may.
    Organisation,
}

/// `POST /v1/tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenRequest {
    /// Who may redeem it.
    pub kind: TokenKind,
    /// How long it lives.
    pub lifetime_seconds: u64,
    /// How many keys may redeem it.
    pub uses: u32,
    /// Whether its bearer gets a certificate without an operator's approval.
    pub auto_approve: bool,
    /// What the computers that redeem it are labelled with.
    pub labels: BTreeMap<String, String>,
    /// The firmware's serial number that the machine must show.
    pub expected_serial: Option<String>,
    /// Who its bearer becomes, if that is no computer; nothing: the next number's name.
    pub name: Option<UserName>,
    /// The project that its bearer belongs to from then on. Nothing: a computer is in the default one, others are in none.
    pub project: Option<ProjectName>,
    /// What a person or an organisation may do in that project.
    pub role: Option<Role>,
}

impl Default for TokenRequest {
    fn default() -> Self {
        Self {
            kind: TokenKind::Node,
            lifetime_seconds: 3600,
            uses: 1,
            auto_approve: true,
            labels: BTreeMap::new(),
            expected_serial: None,
            name: None,
            project: None,
            role: None,
        }
    }
}

/// The token that was made: the only time that its secret is seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewToken {
    /// The part to list and revoke it by.
    pub id: String,
    /// The token.
    pub token: crate::join::Token,
    /// The join blob with it, to hand out; [`crate::JoinBlob`] as text.
    pub join: JoinLine,
}

/// A join blob as text; `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JoinLine(pub String);

impl std::fmt::Debug for JoinLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JoinLine(…)")
    }
}

/// A token as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The part that may be shown.
    pub id: String,
    /// Who may redeem it.
    pub kind: TokenKind,
    /// How many keys may redeem it.
    pub uses: u32,
    /// How many did.
    pub used: u32,
    /// When it ends, in seconds since 1970.
    pub expires_at: i64,
    /// Whether an operator took it back.
    pub revoked: bool,
    /// Whether its bearer needs no approval.
    pub auto_approve: bool,
    /// What its computers are labelled with.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The serial number it is for.
    #[serde(default)]
    pub expected_serial: Option<String>,
    /// Who its bearer becomes.
    #[serde(default)]
    pub name: Option<UserName>,
    /// The project that its bearer belongs to.
    #[serde(default)]
    pub project: Option<ProjectName>,
    /// What they may do there.
    #[serde(default)]
    pub role: Option<Role>,
    /// When it was made, in seconds since 1970.
    pub created_at: i64,
    /// Who made it.
    pub created_by: String,
}

/// `GET /v1/tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// The newest first.
    pub tokens: Vec<Token>,
}
