//! In which project something is asked for: as it says, or as follows from the rest when there is no doubt.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::ApiError;
use crate::api::caller::Caller;
use crate::identity::{ComputerId, ProjectName, UserName};
use crate::instance::Instance;
use crate::requests::Requester;
use crate::store::{Connection, instances, projects};
use crate::user::User;

/// What a request says that tells its project.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Asked<'a> {
    pub(in crate::api) project: Option<&'a ProjectName>,
    pub(in crate::api) sla: &'a BTreeMap<String, String>,
    pub(in crate::api) title: &'a str,
}

/// Returns in whose name somebody requests who is no instance.
pub(in crate::api) async fn of_request(
    db: &mut Connection,
    caller: &Caller,
    asked: Asked<'_>,
) -> Result<Requester, ApiError> {
    let user = match caller {
        Caller::Anyone | Caller::Operator(_) => None,
        Caller::User(user) => Some(user.as_ref()),
        Caller::Computer(own) => {
            return Err(ApiError::Forbidden(format!(
                "{own} requests in the name of one of its partitions, not in its own"
            )));
        }
        Caller::Instance(own) => {
            return Err(ApiError::Forbidden(format!(
                "{} requests in its own tree alone",
                own.reference
            )));
        }
    };
    let owners = caller.owners();
    let mut there = instances::roots_titled(db, asked.title).await?;
    there.retain(|it| owners.contains(&it.owner));
    let named = named(asked)?;
    let project = match &named {
        Some(project) => project.clone(),
        None => follows(db, user, &there, asked).await?,
    };
    if let Some(user) = user
        && !user.belongs_to(&project)
    {
        return Err(ApiError::Forbidden(format!(
            "{} has no role in the project `{project}`",
            user.name
        )));
    }
    if named.is_some() {
        must_exist(db, &project).await?;
    }
    there.retain(|it| it.project == project);
    let root = owners
        .iter()
        .find_map(|owner| there.iter().position(|it| it.owner == *owner));
    Ok(Requester::User {
        project,
        owners,
        root: root.map(|it| Box::new(there.swap_remove(it))),
    })
}

/// Refuses a project that is not there.
pub(in crate::api) async fn must_exist(
    db: &mut Connection,
    project: &ProjectName,
) -> Result<(), ApiError> {
    if projects::exists(db, project).await? {
        Ok(())
    } else {
        Err(ApiError::no_project(project))
    }
}

fn named(asked: Asked<'_>) -> Result<Option<ProjectName>, ApiError> {
    if let Some(project) = asked.project {
        return Ok(Some(project.clone()));
    }
    let condition = asked.sla.get("project_guid");
    condition
        .map(|it| it.parse())
        .transpose()
        .map_err(|err: slap::id::IdError| ApiError::BadRequest(err.to_string()))
}

/// Returns the project of what is there by this title, of the computer that is asked for, or the one there is to choose. It exists.
async fn follows(
    db: &mut Connection,
    user: Option<&User>,
    there: &[Instance],
    asked: Asked<'_>,
) -> Result<ProjectName, ApiError> {
    let there: BTreeSet<&ProjectName> = there.iter().map(|it| &it.project).collect();
    if let (Some(project), 1) = (there.first(), there.len()) {
        return Ok((*project).clone());
    }
    if let Some(Ok(computer)) = asked
        .sla
        .get("computer_guid")
        .map(|it| it.parse::<ComputerId>())
        && let Some(project) = projects::project_of(db, &computer).await?
    {
        return Ok(project);
    }
    let Some(user) = user else {
        let project = ProjectName::default();
        must_exist(db, &project).await?;
        return Ok(project);
    };
    only(user.roles.keys(), &user.name)
}

/// Returns the project that is asked for, or the one that the caller manages; an operator's is the default one.
pub(in crate::api) fn managed(
    caller: &Caller,
    wished: Option<&str>,
) -> Result<ProjectName, ApiError> {
    let project = match (wished, caller) {
        (Some(wished), _) => wished
            .parse()
            .map_err(|err: slap::id::IdError| ApiError::BadRequest(err.to_string()))?,
        (None, Caller::User(user)) => {
            let managed = user.roles.keys().filter(|it| user.manages(it));
            only(managed, &user.name)?
        }
        (
            None,
            Caller::Anyone | Caller::Operator(_) | Caller::Computer(_) | Caller::Instance(_),
        ) => ProjectName::default(),
    };
    caller.must_manage(&project)?;
    Ok(project)
}

/// Returns the one project there is to choose.
pub(in crate::api) fn only<'a>(
    mut projects: impl Iterator<Item = &'a ProjectName> + Clone,
    who: &UserName,
) -> Result<ProjectName, ApiError> {
    let all = projects.clone().map(ProjectName::as_str);
    match (projects.next(), projects.next()) {
        (Some(project), None) => Ok(project.clone()),
        (None, _) => Err(ApiError::Forbidden(format!(
            "{who} has no role in any project"
        ))),
        (Some(_), Some(_)) => Err(ApiError::BadRequest(format!(
            "say in which project, by `project_guid`: {}",
            all.collect::<Vec<_>>().join(", ")
        ))),
    }
}
