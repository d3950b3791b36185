//! Who calls, as handlers ask for it: extracted from the verified certificate and checked against the store, at every request.
//! A master that is open (`--insecure-http`) asks nobody: there everybody is anyone, and anyone may do everything.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use slap::forms::InstanceForm;
use slap::v1::UserKind;

use super::ApiError;
use crate::identity::{ComputerId, Identity, ProjectName, UserName};
use crate::instance::Instance;
use crate::listener::Peer;
use crate::master::Master;
use crate::store::certificates::{Standing, standing};
use crate::store::{Connection, instances, projects};
use crate::user::User;

/// Somebody with a certificate that counts, or anyone where none is asked for.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    Anyone,
    Operator(UserName),
    /// A person or an organisation.
    User(Box<User>),
    Computer(ComputerId),
    Instance(Box<Instance>),
}

/// Returns the project of a computer that a user asks about.
async fn project_of(db: &mut Connection, computer: &ComputerId) -> Result<ProjectName, ApiError> {
    projects::project_of(db, computer)
        .await?
        .ok_or_else(|| ApiError::no_computer(computer))
}

/// An operator, by the name that stands in the audit.
#[derive(Clone, Debug)]
pub(super) struct Operator(pub(super) String);

/// A computer.
#[derive(Clone, Debug)]
pub(super) struct Node(pub(super) ComputerId);

/// The partition that the call says it is from (`Authorization: X-SlapPartition …`). It proves nothing, and never contradicts the certificate.
#[derive(Clone, Debug)]
pub(super) struct Claimed(pub(super) Option<InstanceForm>);

/// Where the call comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct From(pub(super) IpAddr);

impl Caller {
    /// Refuses whoever may not speak as a computer: all but itself, and operators.
    pub(super) fn may_act_as(&self, computer: &ComputerId) -> Result<(), ApiError> {
        let may = match self {
            Self::Anyone | Self::Operator(_) => true,
            Self::Computer(own) => own == computer,
            Self::User(_) | Self::Instance(_) => false,
        };
        self.allowed(may, || format!("ask about {computer} or speak for it"))
    }

    /// Says whether they may know of a computer of this project: it itself, and all who have a role there.
    pub(super) fn sees(&self, computer: &ComputerId, project: &ProjectName) -> bool {
        match self {
            Self::User(user) => user.belongs_to(project),
            Self::Anyone | Self::Operator(_) | Self::Computer(_) | Self::Instance(_) => {
                self.may_act_as(computer).is_ok()
            }
        }
    }

    /// Refuses whoever may not know of a computer.
    pub(super) async fn may_see(
        &self,
        db: &mut Connection,
        computer: &ComputerId,
    ) -> Result<(), ApiError> {
        let Self::User(user) = self else {
            return self.may_act_as(computer);
        };
        let project = project_of(db, computer).await?;
        self.allowed(user.belongs_to(&project), || {
            format!("ask about {computer}")
        })
    }

    /// Refuses whoever may not decide about a computer: all but managers of its project, and operators.
    pub(super) async fn may_manage(
        &self,
        db: &mut Connection,
        computer: &ComputerId,
    ) -> Result<(), ApiError> {
        let Self::User(user) = self else {
            return self.must_be_operator();
        };
        let project = project_of(db, computer).await?;
        self.must_manage_as(user, &project)
    }

    /// Refuses whoever may neither speak as a computer nor decide about it.
    pub(super) async fn may_oversee(
        &self,
        db: &mut Connection,
        computer: &ComputerId,
    ) -> Result<(), ApiError> {
        match self {
            Self::User(_) => self.may_manage(db, computer).await,
            Self::Anyone | Self::Operator(_) | Self::Computer(_) | Self::Instance(_) => {
                self.may_act_as(computer)
            }
        }
    }

    /// Refuses whoever does not manage a project.
    pub(super) fn must_manage(&self, project: &ProjectName) -> Result<(), ApiError> {
        match self {
            Self::User(user) => self.must_manage_as(user, project),
            Self::Anyone | Self::Operator(_) | Self::Computer(_) | Self::Instance(_) => {
                self.must_be_operator()
            }
        }
    }

    fn must_manage_as(&self, user: &User, project: &ProjectName) -> Result<(), ApiError> {
        self.allowed(user.manages(project), || {
            format!("do this: it is for managers of the project `{project}`")
        })
    }

    /// Refuses whoever may not know an instance: a computer that does not run it, an instance of another tree, a user whose it is not.
    pub(super) fn may_know(&self, instance: &Instance) -> Result<(), ApiError> {
        let may = match self {
            Self::Anyone | Self::Operator(_) => true,
            Self::User(user) => user.may_know(instance),
            Self::Computer(own) => {
                let place = instance.place.as_ref();
                place.is_some_and(|place| place.computer == *own)
            }
            Self::Instance(own) => own.tree == instance.tree,
        };
        self.allowed(may, || format!("ask about {}", instance.reference))
    }

    /// Refuses whoever may not speak in an instance's name: as `may_know`, and an instance speaks for itself alone.
    pub(super) fn may_speak_for(&self, instance: &Instance) -> Result<(), ApiError> {
        match self {
            Self::Instance(own) if own.reference != instance.reference => Err(ApiError::Forbidden(
                format!("{} may not speak for {}", own.reference, instance.reference),
            )),
            Self::Anyone
            | Self::Operator(_)
            | Self::User(_)
            | Self::Computer(_)
            | Self::Instance(_) => self.may_know(instance),
        }
    }

    /// Refuses whoever is no operator.
    pub(super) fn must_be_operator(&self) -> Result<(), ApiError> {
        let (who, what) = match self {
            Self::Anyone | Self::Operator(_) => return Ok(()),
            Self::User(user) => (user.name.to_string(), user.kind.with_article()),
            Self::Computer(own) => (own.to_string(), "a computer"),
            Self::Instance(own) => (own.reference.to_string(), "an instance"),
        };
        Err(ApiError::Forbidden(format!(
            "only an operator may do this, and {who} is {what}"
        )))
    }

    /// Refuses machines and what runs on them.
    pub(super) fn must_be_user(&self) -> Result<(), ApiError> {
        let may = match self {
            Self::Anyone | Self::Operator(_) | Self::User(_) => true,
            Self::Computer(_) | Self::Instance(_) => false,
        };
        self.allowed(may, || "do this: it is for people".to_owned())
    }

    fn allowed(&self, may: bool, what: impl FnOnce() -> String) -> Result<(), ApiError> {
        if may {
            return Ok(());
        }
        let who = self
            .identity()
            .map_or_else(|| self.to_string(), |it| it.name().to_owned());
        Err(ApiError::Forbidden(format!("{who} may not {}", what())))
    }

    /// Refuses a claim to be another than the certificate says.
    fn may_claim(&self, claimed: &InstanceForm) -> Result<(), ApiError> {
        let (own, fits) = match self {
            // Whether the partition's instance is theirs is asked where it is used.
            Self::Anyone | Self::Operator(_) | Self::User(_) => return Ok(()),
            Self::Computer(own) => (own.to_string(), *own == claimed.computer),
            Self::Instance(own) => {
                let fits = own.place.as_ref().is_some_and(|it| {
                    it.computer == claimed.computer && it.partition == claimed.partition
                });
                (own.reference.to_string(), fits)
            }
        };
        if fits {
            return Ok(());
        }
        Err(ApiError::Forbidden(format!(
            "the Authorization header says {} of {}, and the certificate is that of {own}",
            claimed.partition, claimed.computer
        )))
    }

    /// Returns whose trees they mean by a title; none is the operators'.
    pub(super) fn owners(&self) -> Vec<Option<UserName>> {
        match self {
            Self::User(user) => user.owners(),
            Self::Anyone | Self::Operator(_) | Self::Computer(_) | Self::Instance(_) => vec![None],
        }
    }

    /// Returns whose certificate it is.
    pub(super) fn identity(&self) -> Option<Identity> {
        match self {
            Self::Anyone => None,
            Self::Operator(name) => Some(Identity::User(UserKind::Operator, name.clone())),
            Self::User(user) => Some(user.identity()),
            Self::Computer(computer) => Some(Identity::Computer(computer.clone())),
            Self::Instance(instance) => Some(Identity::Instance(instance.reference.clone())),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.identity() {
            None => f.write_str("anyone"),
            Some(identity) => write!(f, "{identity}"),
        }
    }
}

impl FromRequestParts<Arc<Master>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, master: &Arc<Master>) -> Result<Self, ApiError> {
        let caller = identify(parts, master).await?;
        if let Some(claimed) = claimed(parts)? {
            caller.may_claim(&claimed)?;
        }
        Ok(caller)
    }
}

async fn identify(parts: &Parts, master: &Master) -> Result<Caller, ApiError> {
    if master.open.is_some() {
        return Ok(Caller::Anyone);
    }
    let credential = peer(parts)?
        .credential
        .clone()
        .ok_or(ApiError::NoCertificate)?;
    let now = master.clock.now();
    if now >= credential.not_after {
        return Err(ApiError::CertificateExpired);
    }
    let mut db = master.store.read().await?;
    match standing(&mut db, &credential).await? {
        Standing::Good => {}
        Standing::Revoked => return Err(ApiError::Revoked),
        Standing::Unknown => return Err(ApiError::UnknownCaller),
    }
    match credential.identity {
        Identity::Computer(computer) => {
            master.contacts.note(&computer, now);
            Ok(Caller::Computer(computer))
        }
        Identity::User(UserKind::Operator, name) => Ok(Caller::Operator(name)),
        Identity::User(kind @ (UserKind::Person | UserKind::Organisation), name) => {
            let user = User::read(&mut db, kind, name).await?;
            Ok(Caller::User(Box::new(user)))
        }
        Identity::Instance(instance) => instances::instance(&mut db, &instance)
            .await?
            .map(|it| Caller::Instance(Box::new(it)))
            .ok_or(ApiError::UnknownCaller),
    }
}

fn claimed(parts: &Parts) -> Result<Option<InstanceForm>, ApiError> {
    let Some(value) = parts.headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    InstanceForm::from_authorization(text)
        .map_err(|err| ApiError::BadRequest(format!("the Authorization header is wrong: {err}")))
}

impl FromRequestParts<Arc<Master>> for Claimed {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        _master: &Arc<Master>,
    ) -> Result<Self, ApiError> {
        claimed(parts).map(Self)
    }
}

impl FromRequestParts<Arc<Master>> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, master: &Arc<Master>) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, master).await?;
        caller.must_be_operator()?;
        Ok(Self(caller.to_string()))
    }
}

impl FromRequestParts<Arc<Master>> for Node {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, master: &Arc<Master>) -> Result<Self, ApiError> {
        let (who, what) = match Caller::from_request_parts(parts, master).await? {
            Caller::Computer(computer) => return Ok(Self(computer)),
            Caller::Anyone => return Err(ApiError::NoCertificate),
            Caller::Operator(name) => (name.to_string(), UserKind::Operator.with_article()),
            Caller::User(user) => (user.name.to_string(), user.kind.with_article()),
            Caller::Instance(own) => (own.reference.to_string(), "an instance"),
        };
        Err(ApiError::Forbidden(format!(
            "only a computer may do this, and {who} is {what}"
        )))
    }
}

impl FromRequestParts<Arc<Master>> for From {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        _master: &Arc<Master>,
    ) -> Result<Self, ApiError> {
        Ok(Self(peer(parts)?.address.ip()))
    }
}

fn peer(parts: &Parts) -> Result<&Peer, ApiError> {
    parts
        .extensions
        .get::<ConnectInfo<Peer>>()
        .map(|ConnectInfo(peer)| peer)
        .ok_or(ApiError::NoCertificate)
}
