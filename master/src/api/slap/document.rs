//! The master's own types as SLAP's documents.

use std::collections::BTreeMap;

use slap::partition::{FullAddress, InstanceParameters, NetworkAddress, Timestamp};
use slap::{
    Computer, ComputerPartition, InstanceGuid, Occupant, PartitionId, SoftwareInstance,
    SoftwareRelease,
};

use crate::identity::ComputerId;
use crate::instance::{Address, Instance, Place};
use crate::store::partitions::Partition;
use crate::store::supplies::Supply;

/// Returns everything that shall be on a computer.
pub(super) fn computer(
    id: ComputerId,
    partitions: Vec<Partition>,
    mut instances: BTreeMap<PartitionId, Instance>,
    mut shares: BTreeMap<InstanceGuid, Vec<Instance>>,
    supplies: Vec<Supply>,
) -> Computer {
    Computer {
        partitions: partitions
            .into_iter()
            .map(|it| {
                let instance = instances.remove(&it.reference);
                let shares = instance
                    .as_ref()
                    .and_then(|it| shares.remove(&it.reference))
                    .unwrap_or_default();
                partition(it.computer, it.reference, &it.addresses, instance, shares)
            })
            .collect(),
        software: supplies
            .into_iter()
            .map(|it| SoftwareRelease {
                url: it.url,
                computer: it.computer,
                requested_state: Some(it.requested),
            })
            .collect(),
        id,
    }
}

/// Returns a partition with the instance in it, or free.
pub(super) fn partition(
    computer: ComputerId,
    id: PartitionId,
    addresses: &[Address],
    instance: Option<Instance>,
    shares: Vec<Instance>,
) -> ComputerPartition {
    let guid = instance.as_ref().map(|it| it.reference.clone());
    let occupant = instance.map(|it| Occupant {
        software: SoftwareRelease {
            url: it.software_url.clone(),
            computer: computer.clone(),
            requested_state: None,
        },
        requested_state: it.requested,
        filter: conditions(it.sla, &it.software_type),
        parameters: InstanceParameters {
            user: it.parameters,
            instance_title: it.title,
            root_instance_title: it.tree_title,
            computer: computer.to_string(),
            partition: id.to_string(),
            software_url: it.software_url,
            software_type: it.software_type,
            timestamp: Timestamp::from_micros(it.timestamp.micros()),
            addresses: network(addresses),
            full_addresses: routed(addresses),
            shared: shares.into_iter().map(share).collect(),
        },
        connection: it.connection,
        access_status: (!it.status.text.is_empty()).then_some(it.status.text),
    });
    ComputerPartition {
        computer,
        id,
        guid,
        occupant,
    }
}

/// Returns the conditions that a node reads. What pulls backups is kept for a week after its destruction, as the original master has it.
fn conditions(mut sla: BTreeMap<String, String>, software_type: &str) -> BTreeMap<String, String> {
    if software_type == "pull-backup" {
        sla.insert("retention_delay".to_owned(), "7.0".to_owned());
    }
    sla
}

/// Returns a share as its host sees it: what it was requested with and what was published for it in one, and the master's own names last.
fn share(share: Instance) -> BTreeMap<String, String> {
    let mut seen = share.connection;
    seen.extend(share.parameters);
    seen.extend([
        ("slave_reference".to_owned(), share.reference.to_string()),
        ("slave_title".to_owned(), share.title),
        ("slap_software_type".to_owned(), share.software_type),
        ("timestamp".to_owned(), share.timestamp.micros().to_string()),
    ]);
    seen
}

/// Returns an instance as its requester sees it.
pub(super) fn instance(instance: Instance, place: Place) -> SoftwareInstance {
    SoftwareInstance {
        computer: place.computer,
        partition: place.partition,
        guid: Some(instance.reference),
        requested_state: Some(instance.requested),
        software_url: instance.software_url,
        software_type: instance.software_type,
        parameters: instance.parameters,
        connection: instance.connection,
        addresses: network(&place.addresses),
        instance_title: Some(instance.title),
        root_instance_title: Some(instance.tree_title),
    }
}

fn network(addresses: &[Address]) -> Vec<NetworkAddress> {
    addresses
        .iter()
        .filter(|it| it.route.is_none())
        .filter_map(|it| {
            Some(NetworkAddress {
                interface: it.interface.clone(),
                address: it.address.parse().ok()?,
            })
        })
        .collect()
}

fn routed(addresses: &[Address]) -> Vec<FullAddress> {
    addresses
        .iter()
        .filter_map(|it| {
            let route = it.route.clone()?;
            Some(FullAddress {
                interface: it.interface.clone(),
                address: it.address.clone(),
                gateway: route.gateway,
                netmask: route.netmask,
                network: route.network,
            })
        })
        .collect()
}
