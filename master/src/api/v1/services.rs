//! Services, the roots of trees, as operators see them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use slap::v1::{IpAddress, Service, Services};

use crate::api::ApiError;
use crate::api::caller::Operator;
use crate::api::extract::Path;
use crate::instance::{Instance, Place};
use crate::master::Master;
use crate::requests::PROJECT;
use crate::store::{Connection, instances, trees};

pub(super) async fn list(
    State(master): State<Arc<Master>>,
    _operator: Operator,
) -> Result<Json<Services>, ApiError> {
    let mut db = master.store.read().await?;
    let services = instances::roots(&mut db)
        .await?
        .into_iter()
        .map(shown)
        .collect::<Result<_, _>>()?;
    Ok(Json(Services { services }))
}

pub(super) async fn show(
    State(master): State<Arc<Master>>,
    _operator: Operator,
    Path(title): Path<String>,
) -> Result<Json<Service>, ApiError> {
    let mut db = master.store.snapshot().await?;
    Ok(Json(shown(service(&mut db, &title).await?)?))
}

/// Returns the service of this title.
pub(in crate::api) async fn service(
    db: &mut Connection,
    title: &str,
) -> Result<Instance, ApiError> {
    let found = match trees::tree(db, PROJECT, title).await? {
        Some(tree) => instances::instance_in_tree(db, &tree, title).await?,
        None => None,
    };
    found.ok_or_else(|| ApiError::NotFound(format!("there is no service `{title}`")))
}

fn shown(instance: Instance) -> Result<Service, ApiError> {
    let status = if instance.place.is_none() {
        instance.waiting
    } else {
        instance.status.text
    };
    Ok(Service {
        title: instance
            .title
            .parse()
            .map_err(|err: slap::id::IdError| ApiError::Internal(err.into()))?,
        reference: instance.reference,
        software_url: instance.software_url,
        software_type: instance.software_type,
        requested_state: instance.requested,
        reported_state: instance.reported,
        status,
        ip_list: instance.place.as_ref().map(ip_list).unwrap_or_default(),
        computer: instance.place.as_ref().map(|it| it.computer.clone()),
        partition: instance.place.map(|it| it.partition),
        parameters: instance.parameters,
        connection: instance.connection,
    })
}

fn ip_list(place: &Place) -> Vec<IpAddress> {
    place
        .addresses
        .iter()
        .filter_map(|it| Some(IpAddress(it.interface.clone(), it.address.parse().ok()?)))
        .collect()
}
