//! Letting an operator, a person or an organisation in: under the name and with the role that their token says.

use slap::v1::{Role, UserKind, UserState};

use super::{AdmissionError, redeem_once};
use crate::enrolment::{Refusal, Token};
use crate::identity::{Identity, UserName};
use crate::store::Writing;
use crate::store::users::{self, Account};

/// Finds or makes the user of a token. `redeemed`: whom this key became when it redeemed this token before.
pub(super) async fn admit(
    writing: &mut Writing,
    token: &Token,
    kind: UserKind,
    redeemed: Option<&str>,
    key: &str,
) -> Result<Identity, AdmissionError> {
    if let Some(Ok(Identity::User(kind, name))) = redeemed.map(str::parse) {
        must_not_be_revoked(writing, &name).await?;
        return Ok(Identity::User(kind, name));
    }
    let name = match &token.name {
        Some(name) => become_named(writing, token, kind, name).await?,
        None => writing.add_numbered_user(kind).await?,
    };
    if let Some(project) = &token.project {
        let role = token.role.unwrap_or(Role::Member);
        writing.set_role(project, &name, Some(role)).await?;
    }
    let identity = Identity::User(kind, name);
    redeem_once(writing, token, key, &identity).await?;
    Ok(identity)
}

/// Whoever is known already gets one more certificate: for another machine, or because the key was lost.
async fn become_named(
    writing: &mut Writing,
    token: &Token,
    kind: UserKind,
    name: &UserName,
) -> Result<UserName, AdmissionError> {
    if writing.add_user(kind, name).await? {
        return Ok(name.clone());
    }
    let known = must_not_be_revoked(writing, name).await?;
    let same = known.is_some_and(|it| it.kind == kind);
    // What the manager of a project makes must not become somebody who may do more than that manager.
    if same && !made_by_manager(token) {
        return Ok(name.clone());
    }
    Err(AdmissionError::NameTaken(name.clone()))
}

fn made_by_manager(token: &Token) -> bool {
    let maker = token.created_by.parse();
    matches!(
        maker,
        Ok(Identity::User(UserKind::Person | UserKind::Organisation, _))
    )
}

/// Returns the user of this name, if there is one and they are not shut out.
async fn must_not_be_revoked(
    writing: &mut Writing,
    name: &UserName,
) -> Result<Option<Account>, AdmissionError> {
    let known = users::user(writing.db(), name).await?;
    if known
        .as_ref()
        .is_some_and(|it| it.state == UserState::Revoked)
    {
        return Err(AdmissionError::Refused(Refusal::UserRevoked));
    }
    Ok(known)
}
