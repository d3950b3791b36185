//! Instances and trees.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use slap::forms::InstanceForm;
use slap::state::InstanceReport;
use slap::{InstanceGuid, RequestedState};

use super::wire::{
    ByComputer, ByInstance, ByPartition, ByTitle, Certificate, Instance, InstanceConnection,
    InstanceMessage, InstanceReported, InstanceRequest, InstanceRow, InstanceTitle, MaybeInstance,
    NotReady, Nothing, Refusal, Results, ShareRow, Success, TreeRow, texts,
};
use super::{Asked, success};
use crate::admission;
use crate::api::ApiError;
use crate::api::caller::{Caller, Claimed};
use crate::api::slap::computer::{known_in, must_exist};
use crate::api::slap::instance::{begin, carry_out, requester};
use crate::api::slap::project::Asked as About;
use crate::api::v1::enrol::signer;
use crate::api::v1::services;
use crate::instance::{self, Route};
use crate::master::Master;
use crate::requests::{Outcome, Request};
use crate::store::{Connection, Writing, instances};
use crate::{renaming, reports};

pub(super) fn routes() -> Router<Arc<Master>> {
    Router::new()
        .route("/slapos.post.v0.software_instance", post(post_instance))
        .route("/slapos.get.v0.software_instance", post(get_instance))
        .route("/slapos.get.v0.compute_partition", post(get_partition))
        .route("/slapos.get.v0.instance_tree", post(get_tree))
        .route("/slapos.allDocs.v0.instance_tree_list", post(list_trees))
        .route(
            "/slapos.allDocs.v0.compute_node_instance_list",
            post(list_instances),
        )
        .route(
            "/slapos.allDocs.v0.instance_node_instance_list",
            post(list_shares),
        )
        .route(
            "/slapos.put.v0.software_instance_reported_state",
            post(put_instance_state),
        )
        .route(
            "/slapos.put.v0.software_instance_error",
            post(put_instance_error),
        )
        .route(
            "/slapos.put.v0.software_instance_bang",
            post(put_instance_bang),
        )
        .route(
            "/slapos.put.v0.software_instance_title",
            post(put_instance_title),
        )
        .route(
            "/slapos.put.v0.software_instance_connection_parameter",
            post(put_instance_connection),
        )
        .route(
            "/slapos.get.v0.software_instance_certificate",
            post(get_instance_certificate),
        )
}

fn shown(it: instance::Instance) -> Instance {
    let place = it.place;
    let addresses = || place.iter().flat_map(|it| &it.addresses);
    let plain = addresses()
        .filter(|it| it.route.is_none())
        .map(|it| (it.interface.clone(), it.address.clone()));
    let routed = addresses().filter_map(|it| {
        let Route {
            gateway,
            netmask,
            network,
        } = it.route.clone()?;
        let (interface, address) = (it.interface.clone(), it.address.clone());
        Some((interface, address, gateway, netmask, network))
    });
    Instance {
        title: it.title,
        instance_guid: it.reference.to_string(),
        software_release_uri: it.software_url,
        software_type: it.software_type,
        state: it.requested,
        connection_parameters: it.connection,
        parameters: it.parameters,
        shared: it.shared,
        root_instance_title: it.tree_title,
        ip_list: plain.collect(),
        full_ip_list: routed.collect(),
        sla_parameters: it.sla,
        computer_guid: place
            .as_ref()
            .map(|it| it.computer.to_string())
            .unwrap_or_default(),
        compute_partition_id: place
            .as_ref()
            .map(|it| it.partition.to_string())
            .unwrap_or_default(),
        processing_timestamp: it.timestamp.micros(),
        access_status_message: it.status.text,
    }
}

fn not_ready(message: String) -> MaybeInstance {
    MaybeInstance::NotReady(NotReady {
        message,
        name: "SoftwareInstanceNotReady".to_owned(),
        status: 102,
    })
}

/// Returns the instance of this reference, if the caller may know it.
async fn found(
    db: &mut Connection,
    caller: &Caller,
    guid: &InstanceGuid,
) -> Result<instance::Instance, ApiError> {
    let instance = instances::instance(db, guid)
        .await?
        .ok_or_else(|| ApiError::NotFound(format!("there is no instance `{guid}`")))?;
    caller.may_know(&instance)?;
    Ok(instance)
}

/// Begins to write in the name of an instance.
async fn begin_for(
    master: &Master,
    caller: &Caller,
    guid: &InstanceGuid,
) -> Result<(Writing, instance::Instance), ApiError> {
    let mut writing = begin(master, caller).await?;
    let instance = found(writing.db(), caller, guid).await?;
    // What a share publishes, its host says.
    match (&instance.host, caller) {
        (Some(host), Caller::Instance(own)) if own.reference == *host => {}
        _ => caller.may_speak_for(&instance)?,
    }
    Ok((writing, instance))
}

/// Request an instance: there shall be one like this
#[utoipa::path(post, path = "/slapos.post.v0.software_instance", request_body = InstanceRequest,
    responses((status = 200, body = MaybeInstance), (status = "4XX", body = Refusal)))]
pub(super) async fn post_instance(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Claimed(claimed): Claimed,
    Asked(asked): Asked<InstanceRequest>,
) -> Result<Json<MaybeInstance>, ApiError> {
    let sla = texts(asked.sla_parameters);
    let about = About {
        project: None,
        sla: &sla,
        title: asked.title.as_str(),
    };
    let mut writing = begin(&master, &caller).await?;
    let request = Request {
        requester: requester(writing.db(), &caller, claimed.as_ref(), about).await?,
        title: asked.title.to_string(),
        software_url: asked.software_release_uri,
        software_type: asked.software_type,
        parameters: texts(asked.parameters),
        sla,
        shared: asked.shared,
        state: asked.state,
    };
    Ok(Json(
        match carry_out(&master, writing, request, claimed.is_some()).await? {
            Outcome::Placed(instance) => MaybeInstance::Ready(Box::new(shown(*instance))),
            Outcome::NotYet(reason) => not_ready(reason),
        },
    ))
}

/// Read an instance
#[utoipa::path(post, path = "/slapos.get.v0.software_instance", request_body = ByInstance,
    responses((status = 200, body = Instance), (status = "4XX", body = Refusal)))]
pub(super) async fn get_instance(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<ByInstance>,
) -> Result<Json<Instance>, ApiError> {
    let mut db = master.store.snapshot().await?;
    Ok(Json(shown(
        found(&mut db, &caller, &asked.instance_guid).await?,
    )))
}

/// Read the instance in a partition
#[utoipa::path(post, path = "/slapos.get.v0.compute_partition", request_body = ByPartition,
    responses((status = 200, body = Instance), (status = "4XX", body = Refusal)))]
pub(super) async fn get_partition(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<ByPartition>,
) -> Result<Json<Instance>, ApiError> {
    let place = InstanceForm {
        computer: asked.computer_guid,
        partition: asked.compute_partition_id,
    };
    let mut db = master.store.snapshot().await?;
    let instance = known_in(&mut db, &caller, &place).await?;
    Ok(Json(shown(instance)))
}

/// Read the root of a tree
#[utoipa::path(post, path = "/slapos.get.v0.instance_tree", request_body = ByTitle,
    responses((status = 200, body = MaybeInstance), (status = "4XX", body = Refusal)))]
pub(super) async fn get_tree(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<ByTitle>,
) -> Result<Json<MaybeInstance>, ApiError> {
    let mut db = master.store.snapshot().await?;
    let root = services::known(&mut db, &caller, &asked.title).await?;
    Ok(Json(if root.place.is_some() {
        MaybeInstance::Ready(Box::new(shown(root)))
    } else {
        not_ready(root.waiting)
    }))
}

/// List the trees that the caller may know
#[utoipa::path(post, path = "/slapos.allDocs.v0.instance_tree_list", request_body = Nothing,
    responses((status = 200, body = Results<TreeRow>), (status = "4XX", body = Refusal)))]
pub(super) async fn list_trees(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Results<TreeRow>>, ApiError> {
    let mut db = master.store.snapshot().await?;
    let roots = instances::roots(&mut db).await?;
    let known = roots.into_iter().filter(|it| caller.may_know(it).is_ok());
    Ok(Json(Results {
        result_list: known.map(|it| TreeRow { title: it.title }).collect(),
    }))
}

/// List the instances on a computer
#[utoipa::path(post, path = "/slapos.allDocs.v0.compute_node_instance_list", request_body = ByComputer,
    responses((status = 200, body = Results<InstanceRow>), (status = "4XX", body = Refusal)))]
pub(super) async fn list_instances(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<ByComputer>,
) -> Result<Json<Results<InstanceRow>>, ApiError> {
    let mut db = master.store.snapshot().await?;
    caller.may_oversee(&mut db, &asked.computer_guid).await?;
    must_exist(&mut db, &asked.computer_guid).await?;
    let rows = instances::instances_on(&mut db, &asked.computer_guid)
        .await?
        .into_iter()
        .map(|(partition, it)| InstanceRow {
            title: it.title,
            instance_guid: it.reference.to_string(),
            state: it.requested,
            compute_partition_id: partition.to_string(),
            software_release_uri: it.software_url,
        });
    Ok(Json(Results {
        result_list: rows.collect(),
    }))
}

/// List who shares an instance
#[utoipa::path(post, path = "/slapos.allDocs.v0.instance_node_instance_list", request_body = ByInstance,
    responses((status = 200, body = Results<ShareRow>), (status = "4XX", body = Refusal)))]
pub(super) async fn list_shares(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<ByInstance>,
) -> Result<Json<Results<ShareRow>>, ApiError> {
    let mut db = master.store.snapshot().await?;
    let host = found(&mut db, &caller, &asked.instance_guid).await?;
    let partition = host.place.map(|it| it.partition.to_string());
    let rows = instances::shares_of(&mut db, &host.reference)
        .await?
        .into_iter()
        .map(|it| ShareRow {
            title: it.title,
            instance_guid: it.reference.to_string(),
            software_type: it.software_type,
            state: it.requested,
            parameters: it.parameters,
            compute_partition_id: partition.clone().unwrap_or_default(),
        });
    Ok(Json(Results {
        result_list: rows.collect(),
    }))
}

/// Report what an instance is
#[utoipa::path(post, path = "/slapos.put.v0.software_instance_reported_state", request_body = InstanceReported,
    responses((status = 200, body = Success), (status = "4XX", body = Refusal)))]
pub(super) async fn put_instance_state(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<InstanceReported>,
) -> Result<Json<Success>, ApiError> {
    let (mut writing, instance) = begin_for(&master, &caller, &asked.instance_guid).await?;
    // What an instance is, its computer says.
    if let Some(place) = &instance.place {
        caller.may_act_as(&place.computer)?;
    } else {
        caller.must_be_operator()?;
    }
    let said = match asked.reported_state {
        RequestedState::Started => InstanceReport::Started,
        RequestedState::Stopped => InstanceReport::Stopped,
        RequestedState::Destroyed => InstanceReport::Destroyed,
    };
    reports::record(&mut writing, &instance, said, "").await?;
    writing.commit().await?;
    Ok(success(format!("State reported: {}", asked.reported_state)))
}

/// Report what went wrong with an instance
#[utoipa::path(post, path = "/slapos.put.v0.software_instance_error", request_body = InstanceMessage,
    responses((status = 200, body = Success), (status = "4XX", body = Refusal)))]
pub(super) async fn put_instance_error(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<InstanceMessage>,
) -> Result<Json<Success>, ApiError> {
    let (mut writing, instance) = begin_for(&master, &caller, &asked.instance_guid).await?;
    reports::record(
        &mut writing,
        &instance,
        InstanceReport::Error,
        &asked.message,
    )
    .await?;
    writing.commit().await?;
    Ok(success("Error reported"))
}

/// Have an instance, and those that requested it, processed again
#[utoipa::path(post, path = "/slapos.put.v0.software_instance_bang", request_body = InstanceMessage,
    responses((status = 200, body = Success), (status = "4XX", body = Refusal)))]
pub(super) async fn put_instance_bang(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<InstanceMessage>,
) -> Result<Json<Success>, ApiError> {
    let (mut writing, instance) = begin_for(&master, &caller, &asked.instance_guid).await?;
    reports::bang(&mut writing, &instance, &asked.message).await?;
    writing.commit().await?;
    Ok(success("Bang handled"))
}

/// Give an instance another title
#[utoipa::path(post, path = "/slapos.put.v0.software_instance_title", request_body = InstanceTitle,
    responses((status = 200, body = Success), (status = "4XX", body = Refusal)))]
pub(super) async fn put_instance_title(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<InstanceTitle>,
) -> Result<Json<Success>, ApiError> {
    let (mut writing, instance) = begin_for(&master, &caller, &asked.instance_guid).await?;
    renaming::rename(&mut writing, &instance, asked.title.as_str()).await?;
    writing.commit().await?;
    Ok(success("Title updated"))
}

/// Publish what an instance is reached by
#[utoipa::path(post, path = "/slapos.put.v0.software_instance_connection_parameter", request_body = InstanceConnection,
    responses((status = 200, body = Success), (status = "4XX", body = Refusal)))]
pub(super) async fn put_instance_connection(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<InstanceConnection>,
) -> Result<Json<Success>, ApiError> {
    let (mut writing, instance) = begin_for(&master, &caller, &asked.instance_guid).await?;
    let connection = texts(asked.connection_parameter_dict);
    reports::publish(&mut writing, &instance, &connection).await?;
    writing.commit().await?;
    Ok(success("Connection parameters updated"))
}

/// Make a certificate and a key for an instance
#[utoipa::path(post, path = "/slapos.get.v0.software_instance_certificate", request_body = ByInstance,
    responses((status = 200, body = Certificate), (status = "4XX", body = Refusal)))]
pub(super) async fn get_instance_certificate(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Asked(asked): Asked<ByInstance>,
) -> Result<Json<Certificate>, ApiError> {
    let mut writing = begin(&master, &caller).await?;
    let instance = found(writing.db(), &caller, &asked.instance_guid).await?;
    caller.may_speak_for(&instance)?;
    let made =
        admission::certify_instance(&mut writing, signer(&master), &instance.reference).await?;
    writing.commit().await?;
    Ok(Json(Certificate {
        certificate: made.certificate,
        key: made.key,
    }))
}
