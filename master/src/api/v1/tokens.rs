//! Tokens: made, listed, taken back. A secret is seen once, in the answer that made it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use slap::v1::{NewToken, TokenKind, TokenRequest, Tokens};

use crate::api::ApiError;
use crate::api::caller::Operator;
use crate::api::extract::{Json, Path};
use crate::enrolment;
use crate::master::Master;
use crate::minting::{Mint, mint};
use crate::store::tokens;

pub(super) async fn create(
    State(master): State<Arc<Master>>,
    Operator(actor): Operator,
    Json(request): Json<TokenRequest>,
) -> Result<(StatusCode, axum::Json<NewToken>), ApiError> {
    let wish = Mint {
        kind: request.kind.into(),
        lifetime: std::time::Duration::from_secs(request.lifetime_seconds),
        uses: request.uses,
        auto_approve: request.auto_approve,
        labels: request.labels,
        expected_serial: request.expected_serial,
    };
    wish.check()
        .map_err(|err| ApiError::BadRequest(err.to_string()))?;
    let mut writing = master.store.write(actor, master.clock.now()).await?;
    let token = mint(&mut writing, wish, &master.entropy).await?;
    writing.commit().await?;
    let new = NewToken {
        id: token.id().to_owned(),
        token: token.clone(),
        join: slap::v1::JoinLine(master.join_line(token)),
    };
    Ok((StatusCode::CREATED, axum::Json(new)))
}

pub(super) async fn list(
    State(master): State<Arc<Master>>,
    _operator: Operator,
) -> Result<axum::Json<Tokens>, ApiError> {
    let mut db = master.store.read().await?;
    let tokens = tokens::tokens(&mut db).await?;
    Ok(axum::Json(Tokens {
        tokens: tokens.into_iter().map(listed).collect(),
    }))
}

pub(super) async fn revoke(
    State(master): State<Arc<Master>>,
    Operator(actor): Operator,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let mut writing = master.store.write(actor, master.clock.now()).await?;
    if !writing.revoke_token(&id).await? {
        return Err(ApiError::NotFound(format!("there is no token `{id}`")));
    }
    writing.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn listed(token: enrolment::Token) -> slap::v1::Token {
    slap::v1::Token {
        kind: token.kind.into(),
        uses: token.uses,
        used: token.used,
        expires_at: token.expires_at.seconds(),
        revoked: token.revoked,
        auto_approve: token.auto_approve,
        labels: token.labels,
        expected_serial: token.expected_serial,
        created_at: token.created_at.seconds(),
        created_by: token.created_by,
        id: token.id,
    }
}

impl From<TokenKind> for enrolment::TokenKind {
    fn from(kind: TokenKind) -> Self {
        match kind {
            TokenKind::Node => Self::Node,
            TokenKind::Operator => Self::Operator,
        }
    }
}

impl From<enrolment::TokenKind> for TokenKind {
    fn from(kind: enrolment::TokenKind) -> Self {
        match kind {
            enrolment::TokenKind::Node => Self::Node,
            enrolment::TokenKind::Operator => Self::Operator,
        }
    }
}
