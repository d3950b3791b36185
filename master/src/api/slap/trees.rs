//! Instances among others: the addresses of a tree, another name, and who was requested in this run.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use slap::forms::RenameForm;
use slap::partition::NetworkAddress;
use slap::{Value, xml};

use super::computer::known_in;
use super::instance::{bad, begin_about, share_or_self};
use super::{Marshalled, OfPartition};
use crate::api::ApiError;
use crate::api::caller::Caller;
use crate::api::error::chain;
use crate::api::extract::{Fields, Query};
use crate::master::Master;
use crate::renaming;
use crate::store::instances;

/// The addresses of every instance of the tree: what a firewall of one lets in.
pub(super) async fn addresses(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Query(asked): Query<OfPartition>,
) -> Result<Marshalled, ApiError> {
    let mut db = master.store.snapshot().await?;
    let instance = known_in(&mut db, &caller, &asked.into()).await?;
    let members = instances::members(&mut db, &instance.tree).await?;
    let places: BTreeSet<(String, String)> = members
        .into_iter()
        .filter_map(|it| it.place)
        .flat_map(|it| it.addresses)
        .map(|it| (it.interface, it.address))
        .collect();
    let addresses = places.into_iter().filter_map(|(interface, address)| {
        let address = address.parse().ok()?;
        Some(NetworkAddress { interface, address }.to_value())
    });
    Ok(Marshalled(xml::write(&Value::List(addresses.collect()))))
}

pub(super) async fn rename(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<&'static str, ApiError> {
    let form = RenameForm::from_fields(fields).map_err(bad)?;
    let (mut writing, instance) = begin_about(&master, &caller, &form.instance).await?;
    let meant = share_or_self(&mut writing, instance, form.shared.as_deref()).await?;
    renaming::rename(&mut writing, &meant, form.title.as_str()).await?;
    writing.commit().await?;
    Ok("done")
}

/// Nodes tell which titles a run requested. The original once unlinked the others and does no more; what is told is checked and let be.
pub(super) async fn related(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(mut fields): Fields,
) -> Result<StatusCode, ApiError> {
    let xml = fields.required("instance_reference_xml").map_err(bad)?;
    let form = slap::forms::InstanceForm::from_fields(fields).map_err(bad)?;
    let titles = slap::xml::read(&xml).map_err(|err| ApiError::BadRequest(chain(&err)))?;
    if !matches!(titles, Value::List(_) | Value::Tuple(_)) {
        return Err(ApiError::BadRequest(
            "`instance_reference_xml` must be a list of titles".to_owned(),
        ));
    }
    let mut db = master.store.snapshot().await?;
    let instance = known_in(&mut db, &caller, &form).await?;
    caller.may_speak_for(&instance)?;
    Ok(StatusCode::OK)
}
