//! What a node says of its partitions: `.slapos-resource` in each, and its announcement to the master.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::Ipv6Net;
use slap::configuration::{
    Ipv6Range, PartitionAddress, PartitionConfiguration, PartitionUser, Tap, TapIpv4, TapIpv6,
};
use slap::{ComputerConfiguration, ComputerId, PartitionId};
use slapbox_overlay::partitions::PartitionNetwork;

use super::homes;
use super::users::{SHELL, SOFTWARE_USER};
use crate::desired::PartitionName;
use crate::workload::Paths;

/// Returns what `loadComputerConfigurationFromXML` posts for the computer with `prefix` and these partitions.
pub fn computer(
    reference: ComputerId,
    paths: &Paths,
    prefix: Ipv6Net,
    partitions: Vec<PartitionConfiguration>,
) -> ComputerConfiguration {
    let own = Ipv6Addr::from(u128::from(prefix.network()) + 1);
    ComputerConfiguration {
        reference,
        address: Some(IpAddr::V6(own)),
        netmask: Some(IpAddr::V6(prefix.netmask())),
        instance_root: paths.instances.to_string(),
        software_root: paths.software.to_string(),
        software_user: SOFTWARE_USER.to_owned(),
        storage_home: homes::storage_home(&paths.homes).map(str::to_owned),
        os_type: r#"["Linux", "debian", "13", "Slapbox"]"#.to_owned(),
        version: concat!("slapbox ", env!("CARGO_PKG_VERSION")).to_owned(),
        interface: None,
        tap_gateway_interface: paths.ipv4.as_ref().map(|it| it.interface.clone()),
        partitions,
    }
}

/// Returns what the partition with this network has.
pub fn partition(
    paths: &Paths,
    prefix: Ipv6Net,
    network: &PartitionNetwork,
) -> PartitionConfiguration {
    let name = PartitionName::new(network.index);
    PartitionConfiguration {
        capabilities: Vec::new(),
        external_storage: homes::seen(name, paths.homes.len()),
        reference: PartitionId::indexed(network.index),
        path: paths.partition(name).to_string(),
        user: PartitionUser {
            name: name.user(),
            shell: SHELL.to_owned(),
            groups: vec![SOFTWARE_USER.to_owned()],
        },
        addresses: vec![
            PartitionAddress {
                address: IpAddr::V4(network.ipv4),
                netmask: IpAddr::V4(Ipv4Addr::BROADCAST),
            },
            PartitionAddress {
                address: IpAddr::V6(network.ipv6),
                netmask: IpAddr::V6(prefix.netmask()),
            },
        ],
        ipv6_range: Some(Ipv6Range {
            address: network.ipv6_range.network(),
            prefix_length: network.ipv6_range.prefix_len(),
        }),
        tap: Tap {
            name: network.tap.name.clone(),
            ipv4: network.tap.ipv4.and_then(|address| {
                let outside = paths.ipv4.as_ref()?;
                Some(TapIpv4 {
                    address,
                    gateway: outside.address,
                    prefix_length: outside.network.prefix_len(),
                })
            }),
            ipv6: Some(TapIpv6 {
                address: network.tap.address,
                gateway: network.tap.gateway,
                prefix_length: network.tap.range.prefix_len(),
            }),
        },
    }
}
