//! Making tokens: the secret leaves in the answer, its digest stays in the store.

use std::collections::BTreeMap;
use std::time::Duration;

use slap::join;

use crate::clock::Entropy;
use crate::enrolment::{SecretDigest, Token, TokenKind};
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
}

/// Why a token cannot be like that.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    #[error("a token lives from 1 second to 366 days")]
    BadLifetime,
    #[error("a token has from 1 to {MOST_USES} uses")]
    BadUses,
    #[error("an operator's token has one use and no approval")]
    BadOperatorToken,
    #[error("labels are at most 32, with names and values of at most 255 characters")]
    BadLabels,
}

impl Mint {
    /// Returns what an operator's token is: single use, a day.
    pub fn operator() -> Self {
        Self {
            kind: TokenKind::Operator,
            lifetime: Duration::from_hours(24),
            uses: 1,
            auto_approve: true,
            labels: BTreeMap::new(),
            expected_serial: None,
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
        if self.kind == TokenKind::Operator && (self.uses != 1 || !self.auto_approve) {
            return Err(MintError::BadOperatorToken);
        }
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
        created_at: now,
        created_by: writing.actor().to_owned(),
        revoked: false,
    };
    writing.add_token(&stored).await?;
    Ok(token)
}
