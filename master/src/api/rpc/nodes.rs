//! Computers.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;

use super::wire::{
    ByComputer, Certificate, ComputerMessage, Format, FormatPartition, HateoasUrl, NodeRow,
    NodeStatus, Nothing, Refusal, Results, Success, Usage,
};
use super::{Asked, success};
use crate::api::ApiError;
use crate::api::base::Base;
use crate::api::caller::Caller;
use crate::api::slap::certificates::{give_to_computer, take_from_computer};
use crate::api::slap::computer::{announce, bang_all, keep_usage};
use crate::api::slap::status;
use crate::instance::{Address, Route};
use crate::master::Master;
use crate::store::computers;
use crate::store::partitions::Announced;

pub(super) fn routes() -> Router<Arc<Master>> {
    Router::new()
        .route("/slapos.put.v0.compute_node_format", post(put_node_format))
        .route("/slapos.put.v0.compute_node_bang", post(put_node_bang))
        .route("/slapos.get.v0.compute_node_status", post(get_node_status))
        .route("/slapos.post.v0.compute_node_usage", post(post_node_usage))
        .route(
            "/slapos.post.v0.compute_node_certificate",
            post(post_node_certificate),
        )
        .route(
            "/slapos.remove.v0.compute_node_certificate",
            post(remove_node_certificate),
        )
        .route("/slapos.get.v0.hateoas_url", post(get_hateoas_url))
        .route("/slapos.allDocs.WIP.compute_node_list", post(list_nodes))
}

/// Announce a computer's partitions
#[utoipa::path(post, path = "/slapos.put.v0.compute_node_format", request_body = Format,
    responses((status = 200, body = Success), (status = "4XX", body = Refusal)))]
pub(super) async fn put_node_format(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<Format>,
) -> Result<Json<Success>, ApiError> {
    let slots: Vec<Announced> = asked.compute_partition_list.into_iter().map(slot).collect();
    announce(&master, &caller, &asked.computer_guid, &slots).await?;
    Ok(success("Content properly set"))
}

fn slot(partition: FormatPartition) -> Announced {
    let name = partition.partition_id.to_string();
    let addresses = partition.ip_list.into_iter().map(|it| Address {
        interface: it.interface.unwrap_or_else(|| name.clone()),
        address: it.address.to_string(),
        route: match (it.gateway, it.netmask) {
            (Some(gateway), Some(netmask)) if !gateway.is_empty() && !netmask.is_empty() => {
                Some(Route {
                    gateway,
                    netmask,
                    network: it.network.unwrap_or_default(),
                })
            }
            _ => None,
        },
    });
    Announced {
        addresses: addresses.collect(),
        capabilities: partition.capability_list,
        reference: partition.partition_id,
    }
}

/// Have every instance of a computer processed again
#[utoipa::path(post, path = "/slapos.put.v0.compute_node_bang", request_body = ComputerMessage,
    responses((status = 200, body = Success), (status = "4XX", body = Refusal)))]
pub(super) async fn put_node_bang(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<ComputerMessage>,
) -> Result<Json<Success>, ApiError> {
    bang_all(&master, &caller, &asked.computer_guid, &asked.message).await?;
    Ok(success("Bang handled"))
}

/// Read what was last heard of a computer
#[utoipa::path(post, path = "/slapos.get.v0.compute_node_status", request_body = ByComputer,
    responses((status = 200, body = NodeStatus), (status = "4XX", body = Refusal)))]
pub(super) async fn get_node_status(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<ByComputer>,
) -> Result<Json<NodeStatus>, ApiError> {
    let mut db = master.store.snapshot().await?;
    caller.may_see(&mut db, &asked.computer_guid).await?;
    let computer = computers::computer(&mut db, &asked.computer_guid)
        .await?
        .ok_or_else(|| ApiError::no_computer(&asked.computer_guid))?;
    let heard = master
        .contacts
        .of(&asked.computer_guid)
        .max(computer.last_contact)
        .map(|at| status::contact(&asked.computer_guid, at));
    let reference = asked.computer_guid.as_str();
    let now = master.clock.now();
    let entries = status::entries(reference, "Compute Node", "", heard.as_ref(), now);
    let Value::Object(mut more) = slap::Value::Dict(entries).to_json() else {
        return Err(ApiError::NotFound("there is no status".to_owned()));
    };
    let text = match more.remove("text") {
        Some(Value::String(text)) => text,
        Some(_) | None => String::new(),
    };
    Ok(Json(NodeStatus { text, more }))
}

/// Report what a computer and its partitions used
#[utoipa::path(post, path = "/slapos.post.v0.compute_node_usage", request_body = Usage,
    responses((status = 200, body = Success), (status = "4XX", body = Refusal)))]
pub(super) async fn post_node_usage(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<Usage>,
) -> Result<Json<Success>, ApiError> {
    keep_usage(&master, &caller, &asked.computer_guid, &asked.tioxml).await?;
    Ok(success("Usage reported"))
}

/// Make a certificate and a key for a computer that has none
#[utoipa::path(post, path = "/slapos.post.v0.compute_node_certificate", request_body = ByComputer,
    responses((status = 200, body = Certificate), (status = "4XX", body = Refusal)))]
pub(super) async fn post_node_certificate(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<ByComputer>,
) -> Result<Json<Certificate>, ApiError> {
    let made = give_to_computer(&master, &caller, &asked.computer_guid).await?;
    Ok(Json(Certificate {
        certificate: made.certificate,
        key: made.key,
    }))
}

/// Take a computer's certificate back
#[utoipa::path(post, path = "/slapos.remove.v0.compute_node_certificate", request_body = ByComputer,
    responses((status = 200, body = Success), (status = "4XX", body = Refusal)))]
pub(super) async fn remove_node_certificate(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<ByComputer>,
) -> Result<Json<Success>, ApiError> {
    take_from_computer(&master, &caller, &asked.computer_guid).await?;
    Ok(success("Certificate removed"))
}

/// Find the documents for tools
#[utoipa::path(post, path = "/slapos.get.v0.hateoas_url", request_body = Nothing,
    responses((status = 200, body = HateoasUrl), (status = "4XX", body = Refusal)))]
pub(super) async fn get_hateoas_url(
    _caller: Caller,
    Base(base): Base,
    Asked(Nothing {}): Asked<Nothing>,
) -> Json<HateoasUrl> {
    Json(HateoasUrl {
        hateoas_url: format!("{base}/hateoas/"),
    })
}

/// List the computers that the caller may see
#[utoipa::path(post, path = "/slapos.allDocs.WIP.compute_node_list", request_body = Nothing,
    responses((status = 200, body = Results<NodeRow>), (status = "4XX", body = Refusal)))]
pub(super) async fn list_nodes(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Results<NodeRow>>, ApiError> {
    let mut db = master.store.snapshot().await?;
    let rows = computers::computers(&mut db)
        .await?
        .into_iter()
        .filter(|it| caller.sees(&it.reference, &it.project))
        .map(|it| NodeRow {
            computer_guid: it.reference.to_string(),
        });
    Ok(Json(Results {
        result_list: rows.collect(),
    }))
}
