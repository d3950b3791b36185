//! A person or an organisation who calls: in whose name they speak, and what they may do in which project. Pure, but for how it is read.

use std::collections::BTreeMap;

use slap::v1::{Role, UserKind};

use crate::identity::{Identity, ProjectName, UserName};
use crate::instance::Instance;
use crate::store::{Connection, StoreError, projects, users};

/// A person or an organisation. Operators are none: they may do everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub kind: UserKind,
    pub name: UserName,
    /// The organisations that a person belongs to.
    pub organisations: Vec<UserName>,
    /// What they may do, by themselves or as one of an organisation.
    pub roles: BTreeMap<ProjectName, Role>,
}

impl User {
    /// Reads what a user may do.
    pub async fn read(
        db: &mut Connection,
        kind: UserKind,
        name: UserName,
    ) -> Result<Self, StoreError> {
        let organisations = users::organisations_of(db, &name).await?;
        let mut roles = projects::roles_of(db, &name).await?;
        for organisation in &organisations {
            for (project, role) in projects::roles_of(db, organisation).await? {
                let held = roles.entry(project).or_insert(role);
                *held = role.max(*held);
            }
        }
        Ok(Self {
            kind,
            name,
            organisations,
            roles,
        })
    }

    /// Returns whom the certificate names.
    pub fn identity(&self) -> Identity {
        Identity::User(self.kind, self.name.clone())
    }

    /// Says whether they have any role in a project.
    pub fn belongs_to(&self, project: &ProjectName) -> bool {
        self.roles.contains_key(project)
    }

    /// Says whether they manage a project.
    pub fn manages(&self, project: &ProjectName) -> bool {
        self.roles.get(project) == Some(&Role::Manager)
    }

    /// Says whether what an owner has is theirs: their own, or their organisation's.
    pub fn is_or_belongs_to(&self, owner: &UserName) -> bool {
        self.name == *owner || self.organisations.contains(owner)
    }

    /// Says whether they may see and change an instance: it is of a tree of theirs, or in a project they manage.
    pub fn may_know(&self, instance: &Instance) -> bool {
        let owned = instance.owner.as_ref();
        owned.is_some_and(|it| self.is_or_belongs_to(it)) || self.manages(&instance.project)
    }

    /// Returns whose trees they may mean by a title, their own before those of their organisations.
    pub fn owners(&self) -> Vec<Option<UserName>> {
        let names = std::iter::once(&self.name).chain(&self.organisations);
        names.cloned().map(Some).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_may_do_all_that_a_member_may() {
        assert!(Role::Manager > Role::Member);
    }
}
