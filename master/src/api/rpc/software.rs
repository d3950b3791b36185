//! Releases on computers.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use slap::SupplyState;
use slap::forms::SoftwareForm;
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
use crate::api::slap::software::record;
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
    let state = asked.state.unwrap_or(SupplyState::Available);
    let mut writing = begin(&master, &caller).await?;
    caller
        .may_manage(writing.db(), &asked.computer_guid)
        .await?;
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
    let software = SoftwareForm {
        url: asked.software_release_uri,
        computer: asked.computer_guid,
    };
    let said = match asked.reported_state {
        Reported::Building => SoftwareReport::Building,
        Reported::Available => SoftwareReport::Available,
        Reported::Destroyed => SoftwareReport::Destroyed,
    };
    record(&master, &caller, &software, said, "").await?;
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
    let software = SoftwareForm {
        url: asked.software_release_uri,
        computer: asked.computer_guid,
    };
    let said = SoftwareReport::Error;
    record(&master, &caller, &software, said, &asked.message).await?;
    Ok(success("Error reported"))
}

/// List what is supplied to a computer
#[utoipa::path(post, path = "/slapos.allDocs.v0.compute_node_software_installation_list", request_body = ByComputer,
    responses((status = 200, body = Results<InstallationRow>), (status = "4XX", body = Refusal)))]
pub(super) async fn list_installations(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<ByComputer>,
) -> Result<Json<Results<InstallationRow>>, ApiError> {
    let mut db = master.store.snapshot().await?;
    caller.may_see(&mut db, &asked.computer_guid).await?;
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
