//! Certificates whose keys the master makes, as SLAP has it: of instances, of computers that register with a token, of people who log in so.
//! Whoever can make a key of their own enrols by `/v1/enrol`, and the master never sees it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use slap::join::Token;
use slap::v1::Wanted;
use slap::{Computer, JoinBlob, Value, comparison_code, xml};

use super::computer::must_exist;
use super::instance::{bad, begin, begin_about};
use super::{Marshalled, OfPartition, project};
use crate::admission::{self, Admission, AdmissionError, Applicant, KeyedCertificate};
use crate::api::ApiError;
use crate::api::caller::{Caller, From};
use crate::api::extract::{Fields, Query};
use crate::api::v1::enrol::{signer, slow_down};
use crate::ca::{CaError, Style, make_key};
use crate::enrolment::{ComputerState, TokenKind, check_token};
use crate::identity::{ComputerId, Identity};
use crate::master::Master;
use crate::store::computers::{self, NewComputer};
use crate::store::{Connection, tokens};

fn marshalled(made: KeyedCertificate) -> Marshalled {
    let entries = [
        ("certificate".to_owned(), made.certificate),
        ("key".to_owned(), made.key),
    ];
    Marshalled(xml::write(&Value::texts(&entries.into())))
}

pub(super) async fn of_instance(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Query(asked): Query<OfPartition>,
) -> Result<Marshalled, ApiError> {
    let (mut writing, instance) = begin_about(&master, &caller, &asked.into()).await?;
    let made =
        admission::certify_instance(&mut writing, signer(&master), &instance.reference).await?;
    writing.commit().await?;
    Ok(marshalled(made))
}

pub(super) async fn generate(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(mut fields): Fields,
) -> Result<Marshalled, ApiError> {
    let id: ComputerId = fields.id("computer_id").map_err(bad)?;
    Ok(marshalled(give_to_computer(&master, &caller, &id).await?))
}

/// Gives a computer that has none a certificate and its key.
pub(in crate::api) async fn give_to_computer(
    master: &Master,
    caller: &Caller,
    id: &ComputerId,
) -> Result<KeyedCertificate, ApiError> {
    let mut writing = begin(master, caller).await?;
    caller.may_manage(writing.db(), id).await?;
    let computer = computers::computer(writing.db(), id)
        .await?
        .ok_or_else(|| ApiError::no_computer(id))?;
    if computer.state == ComputerState::Revoked {
        return Err(ApiError::Conflict(format!("{id} is revoked, for good")));
    }
    let made = admission::certify_computer(&mut writing, signer(master), &computer).await?;
    writing.commit().await?;
    Ok(made)
}

/// Takes a computer's certificate back. The computer stays, and may be given another.
pub(super) async fn revoke(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(mut fields): Fields,
) -> Result<&'static str, ApiError> {
    let id: ComputerId = fields.id("computer_id").map_err(bad)?;
    take_from_computer(&master, &caller, &id).await?;
    Ok("done")
}

/// Takes a computer's certificate back, and forgets its key.
pub(in crate::api) async fn take_from_computer(
    master: &Master,
    caller: &Caller,
    id: &ComputerId,
) -> Result<(), ApiError> {
    let mut writing = begin(master, caller).await?;
    caller.may_oversee(writing.db(), id).await?;
    let identity = Identity::Computer(id.clone());
    must_exist(writing.db(), id).await?;
    if !writing.has_certificate(&identity).await? {
        return Err(ApiError::NotFound(format!(
            "{id} has no certificate that could be revoked"
        )));
    }
    writing.revoke_certificates(&identity).await?;
    // Whoever has the key could renew with it.
    writing.set_computer_key(id, None).await?;
    writing.note("revoke certificate", id, "");
    Ok(writing.commit().await?)
}

/// Adds a computer, or finds the one of this title. It has no certificate before one is generated.
pub(super) async fn request_computer(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(mut fields): Fields,
) -> Result<Marshalled, ApiError> {
    let wished = fields.optional("project_reference");
    let project = project::managed(&caller, wished.as_deref())?;
    let title: slap::Title = fields.id("computer_title").map_err(bad)?;
    let mut writing = begin(&master, &caller).await?;
    let known = computers::computers(writing.db())
        .await?
        .into_iter()
        .find(|it| {
            it.state != ComputerState::Revoked
                && it.project == project
                && it.title() == title.as_str()
        });
    let id = match known {
        Some(known) => known.reference,
        None => {
            let inventory = slap::v1::Inventory {
                name: title.to_string(),
                ..slap::v1::Inventory::default()
            };
            project::must_exist(writing.db(), &project).await?;
            let new = NewComputer {
                project: &project,
                state: ComputerState::Approved,
                public_key: None,
                code: "",
                smbios_uuid: "",
                inventory: &as_json(&inventory)?,
                labels: &std::collections::BTreeMap::new(),
            };
            writing.add_computer(&new).await?
        }
    };
    writing.commit().await?;
    let computer = Computer {
        id,
        partitions: Vec::new(),
        software: Vec::new(),
    };
    Ok(Marshalled(computer.to_xml()))
}

/// What `slapos node register` and `slapos configure client` read.
#[derive(Debug, Serialize)]
pub(super) struct Registered {
    certificate: String,
    key: String,
}

pub(super) async fn register(
    State(master): State<Arc<Master>>,
    From(address): From,
    headers: HeaderMap,
    Fields(mut fields): Fields,
) -> Result<Json<Registered>, ApiError> {
    let title: slap::Title = fields.id("title").map_err(bad)?;
    let answer = let_in(&master, address, &headers, Wanted::Node, &title).await?;
    Ok(Json(answer))
}

pub(super) async fn log_in(
    State(master): State<Arc<Master>>,
    From(address): From,
    headers: HeaderMap,
) -> Result<Json<Registered>, ApiError> {
    let name: slap::Title = "person".parse().expect("a constant that is a title");
    let answer = let_in(&master, address, &headers, Wanted::User, &name).await?;
    Ok(Json(answer))
}

async fn let_in(
    master: &Master,
    address: std::net::IpAddr,
    headers: &HeaderMap,
    wanted: Wanted,
    title: &slap::Title,
) -> Result<Registered, ApiError> {
    let now = master.clock.now();
    slow_down(master, address, now)?;
    let token = access_token(headers)?;
    let mut db = master.store.read().await?;
    let known = tokens::token(&mut db, token.id()).await?;
    let taken = wanted == Wanted::Node && is_taken(&mut db, title).await?;
    drop(db);
    // Whoever does not know the secret learns nothing here, and is refused below.
    let good = check_token(known.as_ref(), token.reveal_secret(), false, "", now).ok();
    // Whoever waits here for approval would lose the key that is made here.
    if good.is_some_and(|it| it.kind == TokenKind::Node && !it.auto_approve) {
        return Err(ApiError::Forbidden(
            "this token's bearers have to be approved, and this way of joining cannot wait: make a token with --auto-approve"
                .to_owned(),
        ));
    }
    if taken && good.is_some() {
        return Err(ApiError::Conflict(format!(
            "Certificate still active. There is a computer `{title}` already"
        )));
    }
    let made = make_key().map_err(|err| ApiError::from(CaError::from(err)))?;
    let inventory = slap::v1::Inventory {
        name: title.to_string(),
        ..slap::v1::Inventory::default()
    };
    let applicant = Applicant {
        token_id: token.id().to_owned(),
        secret: token.reveal_secret().to_owned(),
        wanted: Some(wanted),
        code: comparison_code(made.request.spki()),
        key: made.request,
        smbios_uuid: String::new(),
        serial: String::new(),
        inventory: as_json(&inventory)?,
        address: address.to_string(),
        style: Style::Described,
    };
    let admission = admission::enrol(&master.store, signer(master), &applicant, now).await;
    if !matches!(admission, Err(AdmissionError::Refused(_))) {
        master.refusals.forgive(address);
    }
    match admission? {
        Admission::Enrolled { certificate, .. } => Ok(Registered {
            certificate,
            key: made.pem,
        }),
        Admission::Pending { .. } => Err(ApiError::Forbidden(
            "an operator has to approve first".to_owned(),
        )),
    }
}

/// Says whether a computer that is let in has this title.
async fn is_taken(db: &mut Connection, title: &slap::Title) -> Result<bool, ApiError> {
    let computers = computers::computers(db).await?;
    Ok(computers
        .iter()
        .any(|it| it.state == ComputerState::Enrolled && it.title() == title.as_str()))
}

/// A token as it is shown here: `<id>.<secret>`, or the whole line that `slapbox token create` prints.
fn access_token(headers: &HeaderMap) -> Result<Token, ApiError> {
    let text = headers
        .get("x-access-token")
        .and_then(|it| it.to_str().ok())
        .unwrap_or_default();
    if let Ok(JoinBlob { token, .. }) = text.parse() {
        return Ok(token);
    }
    Token::try_from(text.to_owned()).map_err(|_| ApiError::TokenRefused)
}

fn as_json(inventory: &slap::v1::Inventory) -> Result<String, ApiError> {
    serde_json::to_string(inventory).map_err(|err| ApiError::Internal(err.into()))
}
