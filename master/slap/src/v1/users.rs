//! People, organisations, and the projects they have roles in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{ProjectName, UserName};
use crate::state::states;

states!(
    /// What a user is.
    UserKind, "`operator`, `person` or `organisation`",
    /// Somebody who may do everything.
    Operator = "operator",
    /// Somebody who may do what they, or their organisations, have roles for.
    Person = "person",
    /// What people belong to.
    Organisation = "organisation"
);

impl UserKind {
    /// Returns the word as a sentence needs it.
    pub fn with_article(self) -> &'static str {
        match self {
            Self::Operator => "an operator",
            Self::Person => "a person",
            Self::Organisation => "an organisation",
        }
    }
}

states!(
    /// Where a user stands with the master.
    UserState, "`enrolled` or `revoked`",
    /// Their certificates count.
    Enrolled = "enrolled",
    /// They are shut out for good.
    Revoked = "revoked"
);

states!(
    /// What somebody may do in a project. The later may do all that the earlier may.
    Role, "`member` or `manager`",
    /// Sees the project's nodes, and requests services of their own on them.
    Member = "member",
    /// Supplies software, lets nodes and people in and shuts nodes out, sees every service.
    Manager = "manager"
);

/// A user as they are listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// What they are called.
    pub name: UserName,
    /// What they are.
    pub kind: UserKind,
    /// Where they stand.
    pub state: UserState,
    /// When they joined, in seconds since 1970.
    pub created_at: i64,
    /// Their own roles, by project.
    #[serde(default)]
    pub roles: BTreeMap<ProjectName, Role>,
    /// Of a person: the organisations they belong to.
    #[serde(default)]
    pub organisations: Vec<UserName>,
}

/// `GET /v1/users`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    /// Sorted by name.
    pub users: Vec<User>,
}

/// Somebody's role in a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Who.
    pub user: UserName,
    /// What they may do.
    pub role: Role,
}

/// A project as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// What it is called.
    pub name: ProjectName,
    /// When it was made, in seconds since 1970.
    pub created_at: i64,
    /// How many computers are in it.
    #[serde(default)]
    pub computers: u64,
    /// How many services are in it.
    #[serde(default)]
    pub services: u64,
    /// Who has a role in it, sorted by name.
    #[serde(default)]
    pub roles: Vec<Membership>,
}

/// `GET /v1/projects`: those that the caller belongs to; an operator's are all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projects {
    /// Sorted by name.
    pub projects: Vec<Project>,
}

/// `POST /v1/projects`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewProject {
    /// What to call it.
    pub name: ProjectName,
}

/// `PUT /v1/projects/NAME/roles/USER`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleRequest {
    /// What they may do from now on.
    pub role: Role,
}
