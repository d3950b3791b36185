//! The partitions of the node: users, directories, `.slapos-resource`, network.
//!
//! Made in bulk and idempotent: a second run reads, finds nothing to do and writes nothing.

use std::collections::BTreeMap;

use ipnet::{Ipv4Net, Ipv6Net};
use slap::configuration::PartitionConfiguration;
use slapbox_overlay::partitions::{self as network, MAX_PARTITIONS, PartitionNetwork, Uplink};

use crate::causes::in_one_line;
use crate::config::Ipv4;
use crate::desired::PartitionName;
use crate::workload::Paths;

pub mod directories;
pub mod document;
pub mod homes;
pub mod users;

use directories::{Directory, DirectoryError};
use homes::Homes;
use users::{Accounts, UsersError};

/// Why the partitions could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PartitionsError {
    #[error("{0} partitions are wanted, but there is room for {MAX_PARTITIONS} at most")]
    TooMany(u16),
    #[error(
        "{wanted} partitions are wanted, but {partition} is in use: destroy its instance first"
    )]
    InUse {
        wanted: u16,
        partition: PartitionName,
    },
    #[error("failed to make the partitions' users")]
    Users(#[source] UsersError),
    #[error("failed to make the partitions' directories")]
    Directories(#[source] DirectoryError),
    #[error("failed to remove a partition's folders on other disks")]
    Homes(#[source] homes::HomeError),
    #[error("failed to write the partitions' directories to the disk")]
    Sync(#[source] std::io::Error),
    #[error("failed to make the partitions' network")]
    Network(#[source] network::Error),
}

/// The partitions as they are after a run; what could not be made of one, or of the node, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub partitions: Vec<PartitionConfiguration>,
    pub changed: usize,
    pub failures: BTreeMap<PartitionName, String>,
    pub node_failures: Vec<String>,
}

/// Makes `count` partitions under `prefix`, and removes empty ones beyond.
pub async fn make(paths: &Paths, count: u16, prefix: Ipv6Net) -> Result<Made, PartitionsError> {
    if count > MAX_PARTITIONS {
        return Err(PartitionsError::TooMany(count));
    }
    let left_over = left_over(paths, count)?;
    let homes = Homes::open(&paths.homes);
    let (accounts, users_made) = users::make(paths, count)
        .await
        .map_err(PartitionsError::Users)?;
    let networks = networks(&accounts, count, prefix, paths.ipv4.as_ref());
    let partitions: Vec<_> = networks
        .iter()
        .map(|network| document::partition(paths, prefix, network))
        .collect();
    let mut made = Made {
        partitions,
        changed: users_made + left_over.len(),
        failures: BTreeMap::new(),
        node_failures: homes.failures().map(|error| in_one_line(error)).collect(),
    };
    make_directories(paths, &homes, &accounts, &mut made)?;
    for partition in left_over {
        directories::remove(paths, partition).map_err(PartitionsError::Directories)?;
        homes.remove(partition).map_err(PartitionsError::Homes)?;
    }
    let uplink = paths.ipv4.as_ref().and_then(uplink);
    let outcome = network::reconcile(&networks, uplink.as_ref())
        .await
        .map_err(PartitionsError::Network)?;
    made.changed += outcome.changed;
    let failures = outcome.failures.into_iter();
    made.node_failures
        .extend(failures.map(|failure| in_one_line(&failure)));
    Ok(made)
}

/// Returns the empty partitions beyond `count`; one in use is refused.
fn left_over(paths: &Paths, count: u16) -> Result<Vec<PartitionName>, PartitionsError> {
    let beyond = directories::beyond(paths, count).map_err(PartitionsError::Directories)?;
    match beyond.iter().find(|(_, in_use)| *in_use) {
        Some((partition, _)) => Err(PartitionsError::InUse {
            wanted: count,
            partition: *partition,
        }),
        None => Ok(beyond.into_iter().map(|(partition, _)| partition).collect()),
    }
}

fn networks(
    accounts: &Accounts,
    count: u16,
    prefix: Ipv6Net,
    outside: Option<&Ipv4>,
) -> Vec<PartitionNetwork> {
    let partitions = (0..count).map(PartitionName::new);
    // As many as there are: the last partitions have none.
    let addresses = outside.into_iter().flat_map(Ipv4::addresses).map(Some);
    let each = partitions.zip(addresses.chain(std::iter::repeat(None)));
    let with_user =
        each.filter_map(|(partition, ipv4)| Some((partition, accounts.of(partition)?, ipv4)));
    with_user
        .map(|(partition, ids, ipv4)| {
            let mut network = network::network_of(prefix, partition.index(), ids.uid);
            network.tap.ipv4 = ipv4;
            network
        })
        .collect()
}

fn uplink(outside: &Ipv4) -> Option<Uplink> {
    Some(Uplink {
        interface: outside.interface.clone(),
        address: Ipv4Net::new(outside.address, outside.network.prefix_len()).ok()?,
    })
}

fn make_directories(
    paths: &Paths,
    homes: &Homes,
    accounts: &Accounts,
    made: &mut Made,
) -> Result<(), PartitionsError> {
    let mut changed = 0;
    if let Some(software) = accounts.software() {
        changed +=
            directories::make_roots(paths, software).map_err(PartitionsError::Directories)?;
    }
    for configuration in &made.partitions {
        let Some(index) = configuration.reference.index() else {
            continue;
        };
        let partition = PartitionName::new(index);
        let Some(ids) = accounts.of(partition) else {
            continue;
        };
        let directory = Directory {
            partition,
            ids,
            resource: configuration.resource_file(),
        };
        let mut take = |made_one: Result<usize, String>| match made_one {
            Ok(count) => changed += count,
            Err(message) => drop(made.failures.insert(partition, message)),
        };
        take(directories::make_one(paths, &directory).map_err(|error| in_one_line(&error)));
        take(
            homes
                .make(partition, ids)
                .map_err(|error| in_one_line(&error)),
        );
    }
    if changed > 0 {
        sync(paths).map_err(PartitionsError::Sync)?;
    }
    made.changed += changed;
    Ok(())
}

/// One sync for all: hundreds of single ones take seconds.
fn sync(paths: &Paths) -> std::io::Result<()> {
    crate::inside::Inside::open(&paths.instances)?.sync()
}
