//! Users: who there is, who is shut out, and which people belong to which organisations. How they join is `enrol`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use slap::v1::{self, UserKind, UserState};

use crate::api::ApiError;
use crate::api::caller::{Caller, Operator};
use crate::api::extract::Path;
use crate::api::slap::instance::begin;
use crate::identity::UserName;
use crate::master::Master;
use crate::store::users::{self, Account};
use crate::store::{Connection, projects};

/// Everybody for operators; oneself, one's organisations and one's people for others.
pub(super) async fn list(
    State(master): State<Arc<Master>>,
    caller: Caller,
) -> Result<Json<v1::Users>, ApiError> {
    caller.must_be_user()?;
    let mut db = master.store.snapshot().await?;
    let mut roles: BTreeMap<UserName, BTreeMap<_, _>> = BTreeMap::new();
    for (project, holder, role) in projects::roles(&mut db).await? {
        roles.entry(holder).or_default().insert(project, role);
    }
    let mut organisations: BTreeMap<UserName, Vec<UserName>> = BTreeMap::new();
    for (organisation, person) in users::affiliations(&mut db).await? {
        organisations.entry(person).or_default().push(organisation);
    }
    let accounts = users::users(&mut db).await?.into_iter();
    let shown = accounts.map(|it| v1::User {
        roles: roles.remove(&it.name).unwrap_or_default(),
        organisations: organisations.remove(&it.name).unwrap_or_default(),
        kind: it.kind,
        state: it.state,
        created_at: it.created_at.seconds(),
        name: it.name,
    });
    Ok(Json(v1::Users {
        users: shown.filter(|it| may_see(&caller, it)).collect(),
    }))
}

fn may_see(caller: &Caller, shown: &v1::User) -> bool {
    match caller {
        Caller::Anyone | Caller::Operator(_) => true,
        Caller::User(user) => {
            user.is_or_belongs_to(&shown.name) || shown.organisations.contains(&user.name)
        }
        Caller::Computer(_) | Caller::Instance(_) => false,
    }
}

pub(super) async fn revoke(
    State(master): State<Arc<Master>>,
    Operator(actor): Operator,
    Path(name): Path<UserName>,
) -> Result<StatusCode, ApiError> {
    let mut writing = master.store.write(actor, master.clock.now()).await?;
    let account = found(writing.db(), &name).await?;
    if account.identity().to_string() == writing.actor() {
        return Err(ApiError::Conflict(
            "nobody shuts themselves out: another operator has to".to_owned(),
        ));
    }
    if account.state != UserState::Revoked {
        writing.revoke_user(&account).await?;
    }
    writing.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn join(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Path((organisation, person)): Path<(UserName, UserName)>,
) -> Result<StatusCode, ApiError> {
    affiliate(&master, &caller, &organisation, &person, true).await
}

pub(super) async fn part(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Path((organisation, person)): Path<(UserName, UserName)>,
) -> Result<StatusCode, ApiError> {
    affiliate(&master, &caller, &organisation, &person, false).await
}

/// Who belongs to an organisation, it says itself, or an operator does.
async fn affiliate(
    master: &Master,
    caller: &Caller,
    organisation: &UserName,
    person: &UserName,
    belongs: bool,
) -> Result<StatusCode, ApiError> {
    match caller {
        Caller::User(user) if user.kind == UserKind::Organisation && user.name == *organisation => {
        }
        Caller::Anyone
        | Caller::Operator(_)
        | Caller::User(_)
        | Caller::Computer(_)
        | Caller::Instance(_) => caller.must_be_operator()?,
    }
    let mut writing = begin(master, caller).await?;
    for (name, kind) in [
        (organisation, UserKind::Organisation),
        (person, UserKind::Person),
    ] {
        let account = found(writing.db(), name).await?;
        if account.kind != kind {
            return Err(ApiError::Conflict(format!(
                "`{name}` is {}, not {}",
                account.kind.with_article(),
                kind.with_article()
            )));
        }
    }
    writing
        .set_affiliation(organisation, person, belongs)
        .await?;
    writing.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns the user of this name.
pub(super) async fn found(db: &mut Connection, name: &UserName) -> Result<Account, ApiError> {
    users::user(db, name)
        .await?
        .ok_or_else(|| ApiError::NotFound(format!("there is no user `{name}`")))
}
