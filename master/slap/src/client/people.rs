//! The calls about people, organisations and projects, under `/v1/`.

use reqwest::Method;

use super::Client;
use super::call::Call;
use super::error::CallError;
use crate::id::{ComputerId, ProjectName, UserName};
use crate::v1::{NewProject, Project, Projects, Role, RoleRequest, Users};

impl Client {
    /// `GET /v1/users`.
    pub async fn users(&self) -> Result<Users, CallError> {
        self.answer(&Call::get(["v1", "users"])).await
    }

    /// `POST /v1/users/NAME/revoke`.
    pub async fn revoke_user(&self, user: &UserName) -> Result<(), CallError> {
        self.send(&Call::new(
            Method::POST,
            ["v1", "users", user.as_str(), "revoke"],
        ))
        .await
        .map(drop)
    }

    /// `PUT /v1/users/ORGANISATION/people/NAME`, or `DELETE` when they leave it.
    pub async fn set_affiliation(
        &self,
        organisation: &UserName,
        person: &UserName,
        belongs: bool,
    ) -> Result<(), CallError> {
        let method = if belongs { Method::PUT } else { Method::DELETE };
        self.send(&Call::new(
            method,
            [
                "v1",
                "users",
                organisation.as_str(),
                "people",
                person.as_str(),
            ],
        ))
        .await
        .map(drop)
    }

    /// `GET /v1/projects`.
    pub async fn projects(&self) -> Result<Projects, CallError> {
        self.answer(&Call::get(["v1", "projects"])).await
    }

    /// `POST /v1/projects`.
    pub async fn create_project(&self, name: &ProjectName) -> Result<Project, CallError> {
        let wish = NewProject { name: name.clone() };
        self.answer(&Call::json(["v1", "projects"], &wish)).await
    }

    /// `DELETE /v1/projects/NAME`: refused while anything is in it.
    pub async fn delete_project(&self, name: &ProjectName) -> Result<(), CallError> {
        self.send(&Call::new(
            Method::DELETE,
            ["v1", "projects", name.as_str()],
        ))
        .await
        .map(drop)
    }

    /// `PUT /v1/projects/NAME/roles/USER`, or `DELETE` when they have none any more.
    pub async fn set_role(
        &self,
        project: &ProjectName,
        user: &UserName,
        role: Option<Role>,
    ) -> Result<(), CallError> {
        let path = ["v1", "projects", project.as_str(), "roles", user.as_str()];
        let call = match role {
            Some(role) => Call::json(path, &RoleRequest { role }).by(Method::PUT),
            None => Call::new(Method::DELETE, path),
        };
        self.send(&call).await.map(drop)
    }

    /// `PUT /v1/computers/REF/project/NAME`: refused while instances are on the computer.
    pub async fn move_computer(
        &self,
        computer: &ComputerId,
        project: &ProjectName,
    ) -> Result<(), CallError> {
        self.send(&Call::new(
            Method::PUT,
            [
                "v1",
                "computers",
                computer.as_str(),
                "project",
                project.as_str(),
            ],
        ))
        .await
        .map(drop)
    }
}
