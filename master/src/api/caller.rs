//! Who calls, as handlers ask for it: extracted from the verified certificate and checked against the store, at every request.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;

use super::ApiError;
use crate::identity::{ComputerId, Identity, OperatorName};
use crate::listener::Peer;
use crate::master::Master;
use crate::store::certificates::{Standing, standing};

/// Somebody with a certificate that counts.
#[derive(Clone, Debug)]
pub(super) struct Caller(pub(super) Identity);

/// An operator.
#[derive(Clone, Debug)]
pub(super) struct Operator(pub(super) OperatorName);

/// A computer.
#[derive(Clone, Debug)]
pub(super) struct Node(pub(super) ComputerId);

/// Where the call comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct From(pub(super) IpAddr);

impl Caller {
    /// Refuses a computer that asks about another one. Operators may ask about any.
    pub(super) fn may_see(&self, computer: &ComputerId) -> Result<(), ApiError> {
        match &self.0 {
            Identity::Operator(_) => Ok(()),
            Identity::Computer(own) if own == computer => Ok(()),
            Identity::Computer(own) => Err(ApiError::Forbidden(format!(
                "{own} may not ask about {computer}"
            ))),
        }
    }

    /// Refuses a computer.
    pub(super) fn must_be_operator(&self) -> Result<OperatorName, ApiError> {
        match &self.0 {
            Identity::Operator(name) => Ok(name.clone()),
            Identity::Computer(own) => Err(ApiError::Forbidden(format!(
                "only an operator may do this, and {own} is a computer"
            ))),
        }
    }
}

impl FromRequestParts<Arc<Master>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, master: &Arc<Master>) -> Result<Self, ApiError> {
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
        if let Identity::Computer(computer) = &credential.identity {
            master.contacts.note(computer, now);
        }
        Ok(Self(credential.identity))
    }
}

impl FromRequestParts<Arc<Master>> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, master: &Arc<Master>) -> Result<Self, ApiError> {
        Caller::from_request_parts(parts, master)
            .await?
            .must_be_operator()
            .map(Self)
    }
}

impl FromRequestParts<Arc<Master>> for Node {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, master: &Arc<Master>) -> Result<Self, ApiError> {
        match Caller::from_request_parts(parts, master).await?.0 {
            Identity::Computer(computer) => Ok(Self(computer)),
            Identity::Operator(name) => Err(ApiError::Forbidden(format!(
                "only a computer may do this, and {name} is an operator"
            ))),
        }
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
