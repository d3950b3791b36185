//! Tokens, and which key redeemed them. Secrets are here as digests only.

use std::str::FromStr;

use slap::v1::Role;

use super::{Connection, StoreError, Writing, corrupted, from_json, projects, to_json, users};
use crate::clock::Moment;
use crate::enrolment::{SecretDigest, Token, TokenKind};
use crate::identity::{ProjectName, UserName};

/// Returns every token, newest first.
pub async fn tokens(db: &mut Connection) -> Result<Vec<Token>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as("SELECT * FROM tokens ORDER BY created_at DESC, id")
        .fetch_all(db)
        .await?;
    rows.into_iter().map(Token::try_from).collect()
}

/// Returns the token with this id.
pub async fn token(db: &mut Connection, id: &str) -> Result<Option<Token>, StoreError> {
    let row: Option<Row> = sqlx::query_as("SELECT * FROM tokens WHERE id = $1")
        .bind(id)
        .fetch_optional(db)
        .await?;
    row.map(Token::try_from).transpose()
}

/// Returns whom this key became when it redeemed this token.
pub async fn redemption(
    db: &mut Connection,
    token: &str,
    public_key: &str,
) -> Result<Option<String>, StoreError> {
    Ok(
        sqlx::query_scalar("SELECT identity FROM redemptions WHERE token = $1 AND public_key = $2")
            .bind(token)
            .bind(public_key)
            .fetch_optional(db)
            .await?,
    )
}

impl Writing {
    /// Adds a token.
    pub async fn add_token(&mut self, token: &Token) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO tokens (id, secret_sha256, kind, uses, used, expires_at, auto_approve, labels,
                                 expected_serial, created_at, created_by, name, project, role)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(&token.id)
        .bind(token.secret.as_str())
        .bind(token.kind.as_str())
        .bind(i64::from(token.uses))
        .bind(i64::from(token.used))
        .bind(token.expires_at.micros())
        .bind(i64::from(token.auto_approve))
        .bind(to_json(&token.labels))
        .bind(&token.expected_serial)
        .bind(token.created_at.micros())
        .bind(&token.created_by)
        .bind(token.name.as_ref().map(UserName::as_str))
        .bind(token.project.as_ref().map(ProjectName::as_str))
        .bind(token.role.map(Role::as_str))
        .execute(self.db())
        .await?;
        let detail = format!("{} token, {} use(s)", token.kind, token.uses);
        self.note("create token", &token.id, detail);
        Ok(())
    }

    /// Takes one use of a token for this key.
    pub async fn redeem(
        &mut self,
        token: &str,
        public_key: &str,
        identity: &str,
    ) -> Result<(), StoreError> {
        let now = self.now().micros();
        sqlx::query(
            "INSERT INTO redemptions (token, public_key, identity, redeemed_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(token)
        .bind(public_key)
        .bind(identity)
        .bind(now)
        .execute(self.db())
        .await?;
        sqlx::query("UPDATE tokens SET used = used + 1 WHERE id = $1")
            .bind(token)
            .execute(self.db())
            .await?;
        self.note("redeem token", token, identity);
        Ok(())
    }

    /// Makes a token worthless; says whether there was one.
    pub async fn revoke_token(&mut self, id: &str) -> Result<bool, StoreError> {
        let now = self.now().micros();
        let found =
            sqlx::query("UPDATE tokens SET revoked_at = COALESCE(revoked_at, $2) WHERE id = $1")
                .bind(id)
                .bind(now)
                .execute(self.db())
                .await?
                .rows_affected();
        if found > 0 {
            self.note("revoke token", id, "");
        }
        Ok(found > 0)
    }

    /// Makes every unused token of this maker worthless.
    pub async fn revoke_tokens_of(&mut self, maker: &str) -> Result<(), StoreError> {
        let now = self.now().micros();
        let revoked = sqlx::query(
            "UPDATE tokens SET revoked_at = $2 WHERE created_by = $1 AND revoked_at IS NULL AND used = 0",
        )
        .bind(maker)
        .bind(now)
        .execute(self.db())
        .await?
        .rows_affected();
        if revoked > 0 {
            let detail = format!("{revoked} unused of {maker}");
            self.note("revoke token", "*", detail);
        }
        Ok(())
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    secret_sha256: String,
    kind: String,
    uses: i64,
    used: i64,
    expires_at: i64,
    auto_approve: i64,
    labels: String,
    expected_serial: Option<String>,
    name: Option<String>,
    project: Option<String>,
    role: Option<String>,
    created_at: i64,
    created_by: String,
    revoked_at: Option<i64>,
}

impl TryFrom<Row> for Token {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            secret: SecretDigest::stored(row.secret_sha256),
            kind: TokenKind::from_str(&row.kind).map_err(|err| corrupted("a token", err))?,
            uses: u32::try_from(row.uses).unwrap_or(0),
            used: u32::try_from(row.used).unwrap_or(u32::MAX),
            expires_at: Moment::from_micros(row.expires_at),
            auto_approve: row.auto_approve != 0,
            labels: from_json("a token's labels", &row.labels)?,
            expected_serial: row.expected_serial,
            name: row.name.map(|it| users::name(&it)).transpose()?,
            project: row.project.map(|it| projects::name(&it)).transpose()?,
            role: row.role.map(|it| projects::role(&it)).transpose()?,
            created_at: Moment::from_micros(row.created_at),
            created_by: row.created_by,
            revoked: row.revoked_at.is_some(),
            id: row.id,
        })
    }
}
