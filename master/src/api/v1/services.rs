//! Services, the roots of trees, as those see them whose they are.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use slap::InstanceGuid;
use slap::v1::{IpAddress, Service, Services};

use crate::api::ApiError;
use crate::api::caller::Caller;
use crate::api::extract::Path;
use crate::identity::UserName;
use crate::instance::{Instance, Place};
use crate::master::Master;
use crate::store::{Connection, instances};

pub(super) async fn list(
    State(master): State<Arc<Master>>,
    caller: Caller,
) -> Result<Json<Services>, ApiError> {
    let mut db = master.store.read().await?;
    let services = instances::roots(&mut db)
        .await?
        .into_iter()
        .filter(|it| caller.may_know(it).is_ok())
        .map(shown)
        .collect::<Result<_, _>>()?;
    Ok(Json(Services { services }))
}

pub(super) async fn show(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Path(title): Path<String>,
) -> Result<Json<Service>, ApiError> {
    let mut db = master.store.snapshot().await?;
    Ok(Json(shown(known(&mut db, &caller, &title).await?)?))
}

/// Returns the service of this title, or of this reference, that the caller may know: their own before others'.
pub(in crate::api) async fn known(
    db: &mut Connection,
    caller: &Caller,
    title: &str,
) -> Result<Instance, ApiError> {
    let mut titled = instances::roots_titled(db, title).await?;
    if let Ok(reference) = title.parse::<InstanceGuid>() {
        let referred = instances::instance(db, &reference).await?;
        titled.extend(referred.filter(Instance::is_root));
    }
    // Who may know none of them is told of the first.
    let refused = titled.first().map(|it| caller.may_know(it));
    titled.retain(|it| caller.may_know(it).is_ok());
    let own = caller.owners();
    let mut mine: Vec<Instance> = titled
        .iter()
        .filter(|it| own.contains(&it.owner))
        .cloned()
        .collect();
    let found = if mine.is_empty() {
        &mut titled
    } else {
        &mut mine
    };
    if found.len() > 1 {
        let each = found.iter().map(|it| {
            let owner = it.owner.as_ref().map_or("operators", UserName::as_str);
            format!("{} of {owner} in {}", it.reference, it.project)
        });
        return Err(ApiError::Conflict(format!(
            "there is more than one service `{title}`, say which by its reference: {}",
            each.collect::<Vec<_>>().join(", ")
        )));
    }
    if let Some(found) = found.pop() {
        return Ok(found);
    }
    refused.transpose()?;
    Err(ApiError::NotFound(format!("there is no service `{title}`")))
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
        project: instance.project,
        owner: instance.owner,
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
        .filter(|it| it.route.is_none())
        .filter_map(|it| Some(IpAddress(it.interface.clone(), it.address.parse().ok()?)))
        .collect()
}
