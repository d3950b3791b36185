//! Projects, and who may do what in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use slap::v1::{self, Membership, NewProject, Role, RoleRequest, UserKind};

use super::users::found;
use crate::api::ApiError;
use crate::api::caller::{Caller, Operator};
use crate::api::extract::{Json, Path};
use crate::api::slap::instance::begin;
use crate::identity::{ProjectName, UserName};
use crate::master::Master;
use crate::store::Connection;
use crate::store::projects::{self, Project};

/// All projects for operators, one's own for others.
pub(super) async fn list(
    State(master): State<Arc<Master>>,
    caller: Caller,
) -> Result<axum::Json<v1::Projects>, ApiError> {
    caller.must_be_user()?;
    let mut db = master.store.snapshot().await?;
    let mut roles = members(&mut db).await?;
    let all = projects::projects(&mut db).await?.into_iter();
    let theirs = all.filter(|it| belongs_to(&caller, &it.name));
    Ok(axum::Json(v1::Projects {
        projects: theirs.map(|it| shown(it, &mut roles)).collect(),
    }))
}

/// Returns who has which role, by project.
async fn members(db: &mut Connection) -> Result<BTreeMap<ProjectName, Vec<Membership>>, ApiError> {
    let mut members: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (project, user, role) in projects::roles(db).await? {
        let of_project = members.entry(project).or_default();
        of_project.push(Membership { user, role });
    }
    Ok(members)
}

fn belongs_to(caller: &Caller, project: &ProjectName) -> bool {
    match caller {
        Caller::Anyone | Caller::Operator(_) => true,
        Caller::User(user) => user.belongs_to(project),
        Caller::Computer(_) | Caller::Instance(_) => false,
    }
}

fn shown(project: Project, roles: &mut BTreeMap<ProjectName, Vec<Membership>>) -> v1::Project {
    v1::Project {
        roles: roles.remove(&project.name).unwrap_or_default(),
        name: project.name,
        created_at: project.created_at.seconds(),
        computers: project.computers,
        services: project.services,
    }
}

pub(super) async fn create(
    State(master): State<Arc<Master>>,
    Operator(actor): Operator,
    Json(NewProject { name }): Json<NewProject>,
) -> Result<(StatusCode, axum::Json<v1::Project>), ApiError> {
    let mut writing = master.store.write(actor, master.clock.now()).await?;
    let status = if writing.add_project(&name).await? {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let project = one(writing.db(), &name).await?;
    let mut roles = members(writing.db()).await?;
    writing.commit().await?;
    Ok((status, axum::Json(shown(project, &mut roles))))
}

pub(super) async fn delete(
    State(master): State<Arc<Master>>,
    Operator(actor): Operator,
    Path(name): Path<ProjectName>,
) -> Result<StatusCode, ApiError> {
    let mut writing = master.store.write(actor, master.clock.now()).await?;
    let project = one(writing.db(), &name).await?;
    if name == ProjectName::default() {
        return Err(ApiError::Conflict(format!(
            "every master has the project `{name}`"
        )));
    }
    if project.computers > 0 || project.services > 0 {
        return Err(ApiError::Conflict(format!(
            "{} computer(s) and {} service(s) are in `{name}`: move or revoke and destroy them first",
            project.computers, project.services
        )));
    }
    writing.remove_project(&name).await?;
    writing.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn one(db: &mut Connection, name: &ProjectName) -> Result<Project, ApiError> {
    let mut all = projects::projects(db).await?.into_iter();
    all.find(|it| it.name == *name)
        .ok_or_else(|| ApiError::no_project(name))
}

pub(super) async fn give_role(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Path((project, user)): Path<(ProjectName, UserName)>,
    Json(RoleRequest { role }): Json<RoleRequest>,
) -> Result<StatusCode, ApiError> {
    set_role(&master, &caller, &project, &user, Some(role)).await
}

pub(super) async fn take_role(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Path((project, user)): Path<(ProjectName, UserName)>,
) -> Result<StatusCode, ApiError> {
    set_role(&master, &caller, &project, &user, None).await
}

async fn set_role(
    master: &Master,
    caller: &Caller,
    project: &ProjectName,
    user: &UserName,
    role: Option<Role>,
) -> Result<StatusCode, ApiError> {
    caller.must_manage(project)?;
    let mut writing = begin(master, caller).await?;
    one(writing.db(), project).await?;
    let account = found(writing.db(), user).await?;
    if account.kind == UserKind::Operator {
        return Err(ApiError::Conflict(format!(
            "`{user}` is an operator, who may do everything: there is no role to give or take"
        )));
    }
    writing.set_role(project, user, role).await?;
    writing.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
