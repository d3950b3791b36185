//! How machines and people get a certificate, and the next one.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use slap::comparison_code;
use slap::v1::{EnrolReply, EnrolRequest, RenewReply, RenewRequest, UserKind};

use crate::admission::{self, Admission, AdmissionError, Applicant, Signer};
use crate::api::ApiError;
use crate::api::caller::{Caller, From};
use crate::api::error::chain;
use crate::api::extract::Json;
use crate::ca::{Style, parse_request};
use crate::clock::Moment;
use crate::identity::Identity;
use crate::master::Master;

/// When a computer that waits for approval asks again.
const RETRY_AFTER_SECONDS: u64 = 5;

pub(super) async fn enrol(
    State(master): State<Arc<Master>>,
    From(address): From,
    Json(request): Json<EnrolRequest>,
) -> Result<Response, ApiError> {
    let now = master.clock.now();
    slow_down(&master, address, now)?;
    let applicant = applicant(&request, address.to_string())?;
    let admission = admission::enrol(&master.store, signer(&master), &applicant, now).await;
    if !matches!(admission, Err(AdmissionError::Refused(_))) {
        master.refusals.forgive(address);
    }
    let reply = match admission? {
        Admission::Enrolled {
            identity,
            certificate,
        } => {
            tracing::info!(%identity, %address, "enrolled");
            if let Identity::User(UserKind::Operator, _) = identity {
                master.operator_enrolled.notify_one();
            }
            EnrolReply::Enrolled {
                reference: identity.name().to_owned(),
                certificate,
                ca: master.authority.pem().to_owned(),
            }
        }
        Admission::Pending { code } => EnrolReply::Pending {
            code,
            retry_after_seconds: RETRY_AFTER_SECONDS,
        },
    };
    let status = match reply {
        EnrolReply::Enrolled { .. } => StatusCode::OK,
        EnrolReply::Pending { .. } => StatusCode::ACCEPTED,
    };
    Ok((status, axum::Json(reply)).into_response())
}

fn applicant(request: &EnrolRequest, address: String) -> Result<Applicant, ApiError> {
    let key = parse_request(&request.csr).map_err(|err| ApiError::BadRequest(chain(&err)))?;
    let inventory = &request.inventory;
    Ok(Applicant {
        token_id: request.token.id().to_owned(),
        secret: request.token.reveal_secret().to_owned(),
        wanted: request.wanted,
        code: comparison_code(key.spki()),
        key,
        smbios_uuid: inventory.smbios_uuid.clone(),
        serial: inventory.serial.clone(),
        inventory: serde_json::to_string(inventory)
            .map_err(|err| ApiError::Internal(err.into()))?,
        address,
        style: Style::Plain,
    })
}

/// With a certificate the key may be another; without one it must be the one that is known.
pub(super) async fn renew(
    State(master): State<Arc<Master>>,
    From(address): From,
    caller: Result<Caller, ApiError>,
    Json(request): Json<RenewRequest>,
) -> Result<axum::Json<RenewReply>, ApiError> {
    let key = parse_request(&request.csr).map_err(|err| ApiError::BadRequest(chain(&err)))?;
    let (signer, now) = (signer(&master), master.clock.now());
    let certificate = match caller {
        Ok(caller) => {
            let identity = caller.identity().ok_or(ApiError::NoCertificate)?;
            admission::renew(&master.store, signer, &identity, &key, now).await?
        }
        Err(ApiError::NoCertificate | ApiError::CertificateExpired) => {
            slow_down(&master, address, now)?;
            let renewed = admission::renew_lapsed(&master.store, signer, &key, now).await?;
            master.refusals.forgive(address);
            renewed
        }
        Err(refused) => return Err(refused),
    };
    Ok(axum::Json(RenewReply {
        certificate,
        ca: master.authority.pem().to_owned(),
    }))
}

pub(in crate::api) fn signer(master: &Master) -> Signer<'_> {
    Signer {
        authority: &master.authority,
        entropy: &master.entropy,
    }
}

/// Takes a try of this address.
pub(in crate::api) fn slow_down(
    master: &Master,
    address: IpAddr,
    now: Moment,
) -> Result<(), ApiError> {
    master
        .refusals
        .try_once(address, now)
        .map_err(|wait| ApiError::SlowDown {
            seconds: wait.as_secs() + 1,
        })
}
