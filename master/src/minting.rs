//! Making tokens: the secret leaves in the answer, its digest stays in the store.

use std::collections::BTreeMap;
use std::time::Duration;

use slap::join;
use slap::v1::{Role, UserKind};

use crate::clock::Entropy;
use crate::enrolment::{SecretDigest, Token, TokenKind};
use crate::identity::{ProjectName, UserName};
use crate::store::{StoreError, Writing};

/// No token lives longer than a year.
const LONGEST: Duration = Duration::from_hours(366 * 24);
const MOST_USES: u32 = 10_000;

/// What a new token shall be.
#[derive(Clone, Debug)]
pub struct Mint {
    pub kind: TokenKind,
    pub lifetime: Duration,
    pub uses: u32,
    pub auto_approve: bool,
    pub labels: BTreeMap<String, String>,
    pub expected_serial: Option<String>,
    pub name: Option<UserName>,
    pub project: Option<ProjectName>,
    pub role: Option<Role>,
}

/// Why a token cannot be like that.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    #[error("a token lives from 1 second to 366 days")]
    BadLifetime,
    #[error("a token has from 1 to {MOST_USES} uses")]
    BadUses,
    #[error(
        "the token of a user, who is no computer, has one use and no approval, no label and no serial number"
    )]
    BadUserToken,
    #[error("a computer has no name or role by its token: those are for users")]
    NotForNodes,
    #[error("an operator may do everything everywhere, and gets no project or role")]
    NotForOperators,
    #[error("a role is one in a project: say which")]
    RoleWithoutProject,
    #[error("labels are at most 32, with names and values of at most 255 characters")]
    BadLabels,
}

impl Mint {
    /// Returns what an operator's token is: single use, a day.
    pub fn operator() -> Self {
        Self {
            kind: TokenKind::User(UserKind::Operator),
            lifetime: Duration::from_hours(24),
            uses: 1,
            auto_approve: true,
            labels: BTreeMap::new(),
            expected_serial: None,
            name: None,
            project: None,
            role: None,
        }
    }

    /// Refuses what no token can be.
    pub fn check(&self) -> Result<(), MintError> {
        if self.lifetime < Duration::from_secs(1) || self.lifetime > LONGEST {
            return Err(MintError::BadLifetime);
        }
        if !(1..=MOST_USES).contains(&self.uses) {
            return Err(MintError::BadUses);
        }
        self.check_bearer()?;
        let fits = |text: &String| text.chars().count() <= 255;
        if self.labels.len() > 32
            || !self
                .labels
                .iter()
                .all(|(name, value)| fits(name) && fits(value))
        {
            return Err(MintError::BadLabels);
        }
        Ok(())
    }
}

impl Mint {
    /// What is said of its bearer must be what such a bearer can have.
    fn check_bearer(&self) -> Result<(), MintError> {
        let kind = match self.kind {
            TokenKind::Node if self.name.is_some() || self.role.is_some() => {
                return Err(MintError::NotForNodes);
            }
            TokenKind::Node => return Ok(()),
            TokenKind::User(kind) => kind,
        };
        if self.uses != 1
            || !self.auto_approve
            || !self.labels.is_empty()
            || self.expected_serial.is_some()
        {
            return Err(MintError::BadUserToken);
        }
        match (kind, &self.project, self.role) {
            (UserKind::Operator, None, None) => Ok(()),
            (UserKind::Operator, _, _) => Err(MintError::NotForOperators),
            (UserKind::Person | UserKind::Organisation, None, Some(_)) => {
                Err(MintError::RoleWithoutProject)
            }
            (UserKind::Person | UserKind::Organisation, _, _) => Ok(()),
        }
    }
}

/// Makes a token in the name of the transaction's actor. What is returned is the only copy of its secret.
pub async fn mint(
    writing: &mut Writing,
    wish: Mint,
    entropy: &Entropy,
) -> Result<join::Token, StoreError> {
    let token = join::Token::from_random(entropy.bytes(), entropy.bytes());
    let now = writing.now();
    let stored = Token {
        id: token.id().to_owned(),
        secret: SecretDigest::of(token.reveal_secret()),
        kind: wish.kind,
        uses: wish.uses,
        used: 0,
        expires_at: now.plus(wish.lifetime),
        auto_approve: wish.auto_approve,
        labels: wish.labels,
        expected_serial: wish.expected_serial,
        name: wish.name,
        project: wish.project,
        role: wish.role,
        created_at: now,
        created_by: writing.actor().to_owned(),
        revoked: false,
    };
    writing.add_token(&stored).await?;
    Ok(token)
}
