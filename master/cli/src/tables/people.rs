//! Users and projects as tables.

use slap::v1::{Projects, UserState, Users};

use super::layout::table;

pub(crate) fn users(users: &Users) -> String {
    let rows = users.users.iter().map(|user| {
        let state = match user.state {
            UserState::Enrolled => "",
            UserState::Revoked => "revoked",
        };
        let roles = user.roles.iter();
        let roles = roles.map(|(project, role)| format!("{role} of {project}"));
        let organisations = user.organisations.iter().map(ToString::to_string);
        [
            user.name.to_string(),
            user.kind.to_string(),
            state.to_owned(),
            organisations.collect::<Vec<_>>().join(", "),
            roles.collect::<Vec<_>>().join(", "),
        ]
    });
    table(
        ["NAME", "KIND", "STATE", "ORGANISATIONS", "ROLES"],
        rows.collect(),
    )
}

pub(crate) fn projects(projects: &Projects) -> String {
    let rows = projects.projects.iter().map(|project| {
        let roles = project.roles.iter();
        let roles = roles.map(|it| format!("{} ({})", it.user, it.role));
        [
            project.name.to_string(),
            project.computers.to_string(),
            project.services.to_string(),
            roles.collect::<Vec<_>>().join(", "),
        ]
    });
    table(["NAME", "COMPUTERS", "SERVICES", "PEOPLE"], rows.collect())
}
