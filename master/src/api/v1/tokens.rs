//! Tokens: made, listed, taken back. A secret is seen once, in the answer that made it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use slap::v1::{NewToken, TokenKind, TokenRequest, Tokens, UserKind};

use crate::api::ApiError;
use crate::api::caller::Caller;
use crate::api::extract::{Json, Path};
use crate::api::slap::instance::begin;
use crate::api::slap::project;
use crate::enrolment;
use crate::master::Master;
use crate::minting::{Mint, mint};
use crate::store::tokens;

pub(super) async fn create(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Json(request): Json<TokenRequest>,
) -> Result<(StatusCode, axum::Json<NewToken>), ApiError> {
    let wish = Mint {
        kind: request.kind.into(),
        lifetime: std::time::Duration::from_secs(request.lifetime_seconds),
        uses: request.uses,
        auto_approve: request.auto_approve,
        labels: request.labels,
        expected_serial: request.expected_serial,
        name: request.name,
        project: request.project,
        role: request.role,
    };
    may_make(&caller, &wish)?;
    wish.check()
        .map_err(|err| ApiError::BadRequest(err.to_string()))?;
    let mut writing = begin(&master, &caller).await?;
    if let Some(project) = &wish.project {
        project::must_exist(writing.db(), project).await?;
    }
    let token = mint(&mut writing, wish, &master.entropy).await?;
    writing.commit().await?;
    let new = NewToken {
        id: token.id().to_owned(),
        token: token.clone(),
        join: slap::v1::JoinLine(master.join_line(token)),
    };
    Ok((StatusCode::CREATED, axum::Json(new)))
}

/// Operators make any. Who manages a project lets computers and people into it.
fn may_make(caller: &Caller, wish: &Mint) -> Result<(), ApiError> {
    match wish.kind {
        enrolment::TokenKind::User(UserKind::Operator | UserKind::Organisation) => {
            caller.must_be_operator()
        }
        enrolment::TokenKind::User(UserKind::Person) => match &wish.project {
            Some(project) => caller.must_manage(project),
            None => caller.must_be_operator(),
        },
        enrolment::TokenKind::Node => caller.must_manage(&wish.project.clone().unwrap_or_default()),
    }
}

pub(super) async fn list(
    State(master): State<Arc<Master>>,
    caller: Caller,
) -> Result<axum::Json<Tokens>, ApiError> {
    caller.must_be_user()?;
    let mut db = master.store.read().await?;
    let tokens = tokens::tokens(&mut db).await?;
    Ok(axum::Json(Tokens {
        tokens: tokens
            .into_iter()
            .filter(|it| is_theirs(&caller, it))
            .map(listed)
            .collect(),
    }))
}

pub(super) async fn revoke(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    caller.must_be_user()?;
    let mut writing = begin(&master, &caller).await?;
    let known = tokens::token(writing.db(), &id).await?;
    if !known.is_some_and(|it| is_theirs(&caller, &it)) {
        return Err(ApiError::NotFound(format!("there is no token `{id}`")));
    }
    writing.revoke_token(&id).await?;
    writing.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says whether a token is one that somebody could have made.
fn is_theirs(caller: &Caller, token: &enrolment::Token) -> bool {
    let project = match token.kind {
        enrolment::TokenKind::Node => Some(token.project.clone().unwrap_or_default()),
        enrolment::TokenKind::User(_) => token.project.clone(),
    };
    project.map_or_else(
        || caller.must_be_operator().is_ok(),
        |project| caller.must_manage(&project).is_ok(),
    )
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
        name: token.name,
        project: token.project,
        role: token.role,
        created_at: token.created_at.seconds(),
        created_by: token.created_by,
        id: token.id,
    }
}

impl From<TokenKind> for enrolment::TokenKind {
    fn from(kind: TokenKind) -> Self {
        match kind {
            TokenKind::Node => Self::Node,
            TokenKind::Operator => Self::User(UserKind::Operator),
            TokenKind::Person => Self::User(UserKind::Person),
            TokenKind::Organisation => Self::User(UserKind::Organisation),
        }
    }
}

impl From<enrolment::TokenKind> for TokenKind {
    fn from(kind: enrolment::TokenKind) -> Self {
        match kind {
            enrolment::TokenKind::Node => Self::Node,
            enrolment::TokenKind::User(UserKind::Operator) => Self::Operator,
            enrolment::TokenKind::User(UserKind::Person) => Self::Person,
            enrolment::TokenKind::User(UserKind::Organisation) => Self::Organisation,
        }
    }
}
