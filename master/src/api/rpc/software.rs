//! Releases on computers.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use slap::SupplyState;
use slap::state::SoftwareReport;

use super::wire::{
    ByComputer, InstallationMessage, InstallationReported, InstallationRequest, InstallationRow,
    Refusal, Reported, Results, Success,
};
use super::{Asked, success};
use crate::api::ApiError;
use crate::api::caller::Caller;
use crate::api::slap::computer::must_exist;
use crate::api::slap::instance::begin;
use crate::api::slap::last_words;
use crate::identity::ComputerId;
use crate::master::Master;
use crate::store::supplies;
use crate::supplying;

pub(super) fn routes() -> Router<Arc<Master>> {
    Router::new()
        .route(
            "/slapos.post.v0.software_installation",
            post(post_installation),
        )
        .route(
            "/slapos.put.v0.software_installation_reported_state",
            post(put_installation_state),
        )
        .route(
            "/slapos.put.v0.software_installation_error",
            post(put_installation_error),
        )
        .route(
            "/slapos.allDocs.v0.compute_node_software_installation_list",
            post(list_installations),
        )
}

/// Supply a release to a computer, or have it removed
#[utoipa::path(post, path = "/slapos.post.v0.software_installation", request_body = InstallationRequest,
    responses((status = 200, body = Success), (status = "4XX", body = Refusal)))]
pub(super) async fn post_installation(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<InstallationRequest>,
) -> Result<Json<Success>, ApiError> {
    caller.must_be_operator()?;
    let state = asked.state.unwrap_or(SupplyState::Available);
    let mut writing = begin(&master, &caller).await?;
    supplying::supply(
        &mut writing,
        &asked.computer_guid,
        &asked.software_release_uri,
        state,
    )
    .await?;
    writing.commit().await?;
    Ok(success(format!("State changed: {state}")))
}

/// Report what a release on a computer is
#[utoipa::path(post, path = "/slapos.put.v0.software_installation_reported_state", request_body = InstallationReported,
    responses((status = 200, body = Success), (status = "4XX", body = Refusal)))]
pub(super) async fn put_installation_state(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<InstallationReported>,
) -> Result<Json<Success>, ApiError> {
    caller.may_see(&asked.computer_guid)?;
    let url = &asked.software_release_uri;
    let (report, status) = match asked.reported_state {
        Reported::Building => (
            SoftwareReport::Building,
            format!("#building software release {url}"),
        ),
        Reported::Available => (
            SoftwareReport::Available,
            format!("#access software release {url} available"),
        ),
        Reported::Destroyed => {
            let mut writing = begin(&master, &caller).await?;
            if !writing.remove_supply(&asked.computer_guid, url).await? {
                return Err(ApiError::NotFound(format!(
                    "nobody asked that `{url}` be destroyed on {}",
                    asked.computer_guid
                )));
            }
            writing.commit().await?;
            return Ok(success("State reported"));
        }
    };
    report_supply(&master, &caller, &asked.computer_guid, url, report, &status).await?;
    Ok(success("State reported"))
}

/// Report what went wrong with a release on a computer
#[utoipa::path(post, path = "/slapos.put.v0.software_installation_error", request_body = InstallationMessage,
    responses((status = 200, body = Success), (status = "4XX", body = Refusal)))]
pub(super) async fn put_installation_error(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<InstallationMessage>,
) -> Result<Json<Success>, ApiError> {
    caller.may_see(&asked.computer_guid)?;
    let url = &asked.software_release_uri;
    let status = format!(
        "#error while installing {url}: {}",
        last_words(&asked.message)
    );
    let report = SoftwareReport::Error;
    report_supply(&master, &caller, &asked.computer_guid, url, report, &status).await?;
    Ok(success("Error reported"))
}

async fn report_supply(
    master: &Master,
    caller: &Caller,
    computer: &ComputerId,
    url: &str,
    report: SoftwareReport,
    status: &str,
) -> Result<(), ApiError> {
    let mut writing = begin(master, caller).await?;
    if !writing.report_supply(computer, url, report, status).await? {
        return Err(ApiError::NotFound(format!(
            "`{url}` is not supplied on {computer}"
        )));
    }
    Ok(writing.commit().await?)
}

/// List what is supplied to a computer
#[utoipa::path(post, path = "/slapos.allDocs.v0.compute_node_software_installation_list", request_body = ByComputer,
    responses((status = 200, body = Results<InstallationRow>), (status = "4XX", body = Refusal)))]
pub(super) async fn list_installations(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<ByComputer>,
) -> Result<Json<Results<InstallationRow>>, ApiError> {
    caller.may_see(&asked.computer_guid)?;
    let mut db = master.store.snapshot().await?;
    must_exist(&mut db, &asked.computer_guid).await?;
    let rows = supplies::supplies(&mut db, &asked.computer_guid)
        .await?
        .into_iter()
        .map(|it| InstallationRow {
            software_release_uri: it.url,
            state: it.requested,
        });
    Ok(Json(Results {
        result_list: rows.collect(),
    }))
}
