//! What a computer is told, and what it announces of itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use slap::configuration::PartitionConfiguration;
use slap::forms::{InstanceForm, UsageForm};
use slap::{ComputerConfiguration, Journal, PartitionId};

use super::instance::{bad, begin};
use super::{Marshalled, document};
use crate::api::ApiError;
use crate::api::caller::Caller;
use crate::api::error::chain;
use crate::api::extract::{Fields, Query};
use crate::identity::ComputerId;
use crate::instance::{Address, Instance, Route};
use crate::master::Master;
use crate::placement::place_waiting;
use crate::store::partitions::Announced;
use crate::store::{Connection, computers, instances};

#[derive(Debug, Deserialize)]
pub(super) struct OfPartition {
    computer_reference: ComputerId,
    computer_partition_reference: PartitionId,
}

pub(super) async fn partition(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Query(asked): Query<OfPartition>,
) -> Result<Marshalled, ApiError> {
    let (computer, partition) = (asked.computer_reference, asked.computer_partition_reference);
    let place = InstanceForm {
        computer: computer.clone(),
        partition: partition.clone(),
    };
    let mut db = master.store.snapshot().await?;
    let instance = known_in(&mut db, &caller, &place).await?;
    let addresses = instance
        .place
        .as_ref()
        .map(|it| it.addresses.clone())
        .unwrap_or_default();
    let shares = instances::shares_of(&mut db, &instance.reference).await?;
    let document = document::partition(computer, partition, &addresses, Some(instance), shares);
    Ok(Marshalled(document.to_xml()))
}

pub(super) async fn load(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(mut fields): Fields,
) -> Result<&'static str, ApiError> {
    let xml = fields
        .required("xml")
        .map_err(|err| ApiError::BadRequest(chain(&err)))?;
    let announced =
        ComputerConfiguration::from_xml(&xml).map_err(|err| ApiError::BadRequest(chain(&err)))?;
    let slots: Vec<Announced> = announced.partitions.iter().map(slot).collect();
    announce(&master, &caller, &announced.reference, &slots).await?;
    Ok("done")
}

/// Records what a computer announces.
pub(in crate::api) async fn announce(
    master: &Master,
    caller: &Caller,
    computer: &ComputerId,
    slots: &[Announced],
) -> Result<(), ApiError> {
    caller.may_act_as(computer)?;
    let mut seen = BTreeSet::new();
    if let Some(twice) = slots.iter().find(|it| !seen.insert(&it.reference)) {
        let words = format!("partition `{}` is announced twice", twice.reference);
        return Err(ApiError::BadRequest(words));
    }
    let mut writing = begin(master, caller).await?;
    if master.open.is_some() {
        writing.add_named_computer(computer).await?;
    }
    must_exist(writing.db(), computer).await?;
    writing.set_partitions(computer, slots).await?;
    place_waiting(&mut writing).await?;
    Ok(writing.commit().await?)
}

fn slot(partition: &PartitionConfiguration) -> Announced {
    // Its addresses are called by the tap's name; where there is none, by the partition's.
    let interface = if partition.tap.name.is_empty() {
        partition.reference.to_string()
    } else {
        partition.tap.name.clone()
    };
    let own = partition.addresses.iter().map(|it| Address {
        interface: interface.clone(),
        address: it.address.to_string(),
        route: None,
    });
    let behind = partition.tap.ipv4.map(|it| Address {
        interface: format!("route_{interface}"),
        address: it.address.to_string(),
        route: Some(Route {
            gateway: it.gateway.to_string(),
            netmask: it.netmask().to_string(),
            network: it.network().to_string(),
        }),
    });
    Announced {
        reference: partition.reference.clone(),
        addresses: own.chain(behind).collect(),
        capabilities: partition.capabilities.iter().cloned().collect(),
    }
}

pub(super) async fn bang(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(mut fields): Fields,
) -> Result<&'static str, ApiError> {
    let computer: ComputerId = fields.id("computer_id").map_err(bad)?;
    bang_all(&master, &caller, &computer, &fields.text("message")).await?;
    Ok("OK")
}

/// Has every instance of a computer processed again.
pub(in crate::api) async fn bang_all(
    master: &Master,
    caller: &Caller,
    computer: &ComputerId,
    message: &str,
) -> Result<(), ApiError> {
    let mut writing = begin(master, caller).await?;
    caller.may_oversee(writing.db(), computer).await?;
    must_exist(writing.db(), computer).await?;
    for instance in instances::instances_on(writing.db(), computer)
        .await?
        .values()
    {
        writing.process_again(&instance.reference).await?;
    }
    writing.touch(computer).await?;
    writing.note("bang", computer, message);
    Ok(writing.commit().await?)
}

pub(super) async fn use_computer(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<&'static str, ApiError> {
    let UsageForm { computer, usage } = UsageForm::from_fields(fields).map_err(bad)?;
    keep_usage(&master, &caller, &computer, &usage).await?;
    Ok("OK")
}

/// Keeps what a computer and its partitions used, if it is a report.
pub(in crate::api) async fn keep_usage(
    master: &Master,
    caller: &Caller,
    computer: &ComputerId,
    usage: &str,
) -> Result<(), ApiError> {
    caller.may_act_as(computer)?;
    Journal::from_xml(usage).map_err(|err| ApiError::BadRequest(chain(&err)))?;
    let mut writing = begin(master, caller).await?;
    must_exist(writing.db(), computer).await?;
    writing.add_usage(computer, usage).await?;
    Ok(writing.commit().await?)
}

/// Returns the instance in a partition, if the caller may know it.
pub(in crate::api) async fn known_in(
    db: &mut Connection,
    caller: &Caller,
    place: &InstanceForm,
) -> Result<Instance, ApiError> {
    if let Caller::Computer(_) = caller {
        // It learns nothing of what another computer runs.
        caller.may_act_as(&place.computer)?;
    }
    let instance = instances::instance_at(db, &place.computer, &place.partition)
        .await?
        .ok_or_else(|| {
            ApiError::NotFound(format!(
                "there is no instance in partition `{}` of `{}`",
                place.partition, place.computer
            ))
        })?;
    caller.may_know(&instance)?;
    Ok(instance)
}

pub(in crate::api) async fn must_exist(
    db: &mut Connection,
    computer: &ComputerId,
) -> Result<(), ApiError> {
    match computers::generation(db, computer).await? {
        Some(_) => Ok(()),
        None => Err(ApiError::no_computer(computer)),
    }
}
