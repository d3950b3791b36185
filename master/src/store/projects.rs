//! Projects, and who has which role in them.

use std::collections::BTreeMap;

use slap::v1::Role;

use super::users::name as user_name;
use super::{Connection, StoreError, Writing, corrupted, unsigned};
use crate::clock::Moment;
use crate::identity::{ComputerId, ProjectName, UserName};

/// A project and how much is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    pub name: ProjectName,
    pub created_at: Moment,
    pub computers: u64,
    pub services: u64,
}

/// Returns every project, by name.
pub async fn projects(db: &mut Connection) -> Result<Vec<Project>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT name, created_at,
                (SELECT COUNT(*) FROM computers c WHERE c.project = projects.name) AS computers,
                (SELECT COUNT(*) FROM trees t WHERE t.project = projects.name) AS services
         FROM projects ORDER BY name",
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Project::try_from).collect()
}

/// Says whether there is a project of this name.
pub async fn exists(db: &mut Connection, project: &ProjectName) -> Result<bool, StoreError> {
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM projects WHERE name = $1")
        .bind(project.as_str())
        .fetch_one(db)
        .await?;
    Ok(count > 0)
}

/// Returns the project that a computer is in.
pub async fn project_of(
    db: &mut Connection,
    computer: &ComputerId,
) -> Result<Option<ProjectName>, StoreError> {
    let found: Option<String> =
        sqlx::query_scalar("SELECT project FROM computers WHERE reference = $1")
            .bind(computer.as_str())
            .fetch_optional(db)
            .await?;
    found.map(|it| name(&it)).transpose()
}

/// Returns the roles of one user.
pub async fn roles_of(
    db: &mut Connection,
    user: &UserName,
) -> Result<BTreeMap<ProjectName, Role>, StoreError> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT project, role FROM roles WHERE holder = $1")
            .bind(user.as_str())
            .fetch_all(db)
            .await?;
    rows.iter()
        .map(|(project, held)| Ok((name(project)?, role(held)?)))
        .collect()
}

/// Returns all roles: project, holder and role, sorted by project and holder.
pub async fn roles(db: &mut Connection) -> Result<Vec<(ProjectName, UserName, Role)>, StoreError> {
    let rows: Vec<(String, String, String)> =
        sqlx::query_as("SELECT project, holder, role FROM roles ORDER BY project, holder")
            .fetch_all(db)
            .await?;
    rows.iter()
        .map(|(project, holder, held)| Ok((name(project)?, user_name(holder)?, role(held)?)))
        .collect()
}

pub(super) fn name(text: &str) -> Result<ProjectName, StoreError> {
    text.parse()
        .map_err(|err| corrupted("a project's name", err))
}

pub(super) fn role(text: &str) -> Result<Role, StoreError> {
    text.parse().map_err(|err| corrupted("a role", err))
}

impl Writing {
    /// Adds a project; says whether the name was free.
    pub async fn add_project(&mut self, project: &ProjectName) -> Result<bool, StoreError> {
        let now = self.now().micros();
        let added = sqlx::query(
            "INSERT INTO projects (name, created_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
        )
        .bind(project.as_str())
        .bind(now)
        .execute(self.db())
        .await?
        .rows_affected();
        if added > 0 {
            self.note("add project", project, "");
        }
        Ok(added > 0)
    }

    /// Removes a project that nothing is in, with its roles. Tokens for it are worth nothing any more.
    pub async fn remove_project(&mut self, project: &ProjectName) -> Result<(), StoreError> {
        let now = self.now().micros();
        sqlx::query(
            "UPDATE tokens SET revoked_at = COALESCE(revoked_at, $2), project = NULL WHERE project = $1",
        )
        .bind(project.as_str())
        .bind(now)
        .execute(self.db())
        .await?;
        for removal in [
            "DELETE FROM roles WHERE project = $1",
            "DELETE FROM cached WHERE project = $1",
            "DELETE FROM projects WHERE name = $1",
        ] {
            sqlx::query(removal)
                .bind(project.as_str())
                .execute(self.db())
                .await?;
        }
        self.note("remove project", project, "");
        Ok(())
    }

    /// Gives a user a role in a project, or takes it.
    pub async fn set_role(
        &mut self,
        project: &ProjectName,
        user: &UserName,
        role: Option<Role>,
    ) -> Result<(), StoreError> {
        let change = match role {
            Some(role) => sqlx::query(
                "INSERT INTO roles (project, holder, role) VALUES ($1, $2, $3)
                 ON CONFLICT (project, holder) DO UPDATE SET role = excluded.role",
            )
            .bind(project.as_str())
            .bind(user.as_str())
            .bind(role.as_str()),
            None => sqlx::query("DELETE FROM roles WHERE project = $1 AND holder = $2")
                .bind(project.as_str())
                .bind(user.as_str()),
        };
        change.execute(self.db()).await?;
        let word = role.map_or("none", Role::as_str);
        self.note("set role", project, format!("{user} {word}"));
        Ok(())
    }

    /// Puts a computer into another project, where nobody trusts it yet.
    pub async fn set_project(
        &mut self,
        computer: &ComputerId,
        project: &ProjectName,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE computers SET project = $2, trusted = 0 WHERE reference = $1")
            .bind(computer.as_str())
            .bind(project.as_str())
            .execute(self.db())
            .await?;
        self.note("set project", computer, project);
        Ok(())
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    created_at: i64,
    computers: i64,
    services: i64,
}

impl TryFrom<Row> for Project {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            name: name(&row.name)?,
            created_at: Moment::from_micros(row.created_at),
            computers: unsigned(row.computers),
            services: unsigned(row.services),
        })
    }
}
