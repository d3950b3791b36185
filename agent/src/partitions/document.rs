//! What a node says of its partitions: `.slapos-resource` in each, and the computer's configuration for the master.
//!
//! Plain data in the shape SlapOS gave it; fields are in alphabetical order, as both documents are written.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::Ipv6Net;
use serde::Serialize;
use slapbox_overlay::partitions::PartitionNetwork;

use crate::desired::PartitionName;
use crate::workload::Paths;

/// The configuration of the computer, as `loadComputerConfigurationFromXML` takes it (marshalled).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Computer {
    pub address: Ipv6Addr,
    pub instance_root: String,
    pub instance_storage_home: Option<String>,
    pub interface: Option<String>,
    pub ipv6_interface: Option<String>,
    pub netmask: Ipv6Addr,
    pub os_type: String,
    pub partition_has_ipv6_range: bool,
    pub partition_list: Vec<Resource>,
    pub public_ipv4_address: Option<String>,
    pub python_version: String,
    pub slapos_version: String,
    pub software_root: String,
    pub software_user: String,
    pub tap_gateway_interface: String,
    pub tap_ipv6: bool,
}

/// What a partition has: the content of its `.slapos-resource`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resource {
    pub address_list: Vec<Address>,
    pub external_storage_list: Vec<String>,
    pub ipv6_range: Range,
    pub path: String,
    pub reference: PartitionName,
    pub tap: Tap,
    pub tun: Option<String>,
    pub user: User,
}

/// An address with the mask it is written with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Address {
    pub addr: String,
    pub netmask: String,
}

/// A range any address of which the partition may bind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    pub addr: Ipv6Addr,
    pub netmask: Ipv6Addr,
    pub network: String,
    pub prefixlen: u8,
}

/// The tap of the partition; it has no IPv4.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tap {
    pub ipv4_addr: String,
    pub ipv4_gateway: String,
    pub ipv4_netmask: String,
    pub ipv4_network: String,
    pub ipv6_addr: Ipv6Addr,
    pub ipv6_gateway: Ipv6Addr,
    pub ipv6_netmask: Ipv6Addr,
    pub ipv6_network: String,
    pub name: String,
}

/// The user of the partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    pub additional_group_list: Vec<String>,
    pub name: String,
    pub path: String,
    pub shell: String,
}

/// Returns the configuration of the computer with `prefix` and these partitions.
pub fn computer(paths: &Paths, prefix: Ipv6Net, networks: &[PartitionNetwork]) -> Computer {
    let resources = networks
        .iter()
        .map(|network| resource(paths, prefix, network));
    Computer {
        address: Ipv6Addr::from(u128::from(prefix.network()) + 1),
        instance_root: paths.instances.to_string(),
        instance_storage_home: None,
        interface: None,
        ipv6_interface: None,
        netmask: prefix.netmask(),
        os_type: r#"["Linux", "debian", "13", "Slapbox"]"#.to_owned(),
        partition_has_ipv6_range: true,
        partition_list: resources.collect(),
        public_ipv4_address: None,
        python_version: String::new(),
        slapos_version: concat!("slapbox-", env!("CARGO_PKG_VERSION")).to_owned(),
        software_root: paths.software.to_string(),
        software_user: SOFTWARE_USER.to_owned(),
        tap_gateway_interface: String::new(),
        tap_ipv6: true,
    }
}

/// Returns what the partition with this network has.
pub fn resource(paths: &Paths, prefix: Ipv6Net, network: &PartitionNetwork) -> Resource {
    let reference = PartitionName::new(network.index);
    let path = paths.instances.join(reference.to_string()).to_string();
    let range = network.ipv6_range;
    Resource {
        address_list: vec![
            Address {
                addr: network.ipv4.to_string(),
                netmask: Ipv4Addr::BROADCAST.to_string(),
            },
            Address {
                addr: network.ipv6.to_string(),
                netmask: prefix.netmask().to_string(),
            },
        ],
        external_storage_list: Vec::new(),
        ipv6_range: Range {
            addr: range.network(),
            netmask: range.netmask(),
            network: range.to_string(),
            prefixlen: range.prefix_len(),
        },
        path: path.clone(),
        reference,
        tap: tap(&network.tap),
        tun: None,
        user: User {
            additional_group_list: vec![SOFTWARE_USER.to_owned()],
            name: reference.user(),
            path,
            shell: SHELL.to_owned(),
        },
    }
}

/// The user who owns the software releases, and a group of every partition's user.
pub const SOFTWARE_USER: &str = "slapsoft";
/// Nobody logs in as a partition.
pub const SHELL: &str = "/usr/sbin/nologin";

fn tap(tap: &slapbox_overlay::partitions::Tap) -> Tap {
    Tap {
        ipv4_addr: String::new(),
        ipv4_gateway: String::new(),
        ipv4_netmask: String::new(),
        ipv4_network: String::new(),
        ipv6_addr: tap.address,
        ipv6_gateway: tap.gateway,
        ipv6_netmask: tap.range.netmask(),
        // The peer writes the gateway here, not the network; recipes parse it either way.
        ipv6_network: format!("{}/{}", tap.gateway, tap.range.prefix_len()),
        name: tap.name.clone(),
    }
}
