//! What a node announces of itself and its partitions: the document that `loadComputerConfigurationFromXML` posts.
//! One of its partitions as JSON is that partition's `.slapos-resource`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::id::{ComputerId, PartitionId};
use crate::xml::{self, DocumentError};

/// A computer as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComputerConfiguration {
    /// Which computer.
    pub reference: ComputerId,
    /// Its own address.
    pub address: Option<IpAddr>,
    /// The address's netmask, as an address: `ffff:ffff:ffff:ffff::`.
    pub netmask: Option<IpAddr>,
    /// Where partitions are.
    pub instance_root: String,
    /// Where software is.
    pub software_root: String,
    /// Who owns software.
    pub software_user: String,
    /// Where partitions find the folders that they have on other disks, if there are any.
    pub storage_home: Option<String>,
    /// JSON text: `["<platform>", "<id>", "<version>", "<name>"]`.
    pub os_type: String,
    /// The version of what makes the partitions.
    pub version: String,
    /// The interface that the addresses are called by.
    pub interface: Option<String>,
    /// The interface from whose network taps have IPv4 addresses, if they have.
    pub tap_gateway_interface: Option<String>,
    /// All partitions: one that is not listed is gone, with what is in it.
    pub partitions: Vec<PartitionConfiguration>,
}

/// A partition as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionConfiguration {
    /// Which partition.
    pub reference: PartitionId,
    /// Its folder.
    pub path: String,
    /// Whose it is.
    pub user: PartitionUser,
    /// Its own addresses: one IPv4, one IPv6.
    pub addresses: Vec<PartitionAddress>,
    /// The range any address of which its programs may bind.
    pub ipv6_range: Option<Ipv6Range>,
    /// Its tap, for a virtual machine's network.
    pub tap: Tap,
    /// Its folders on other disks: `<storage home>/data0/slappart0`.
    pub external_storage: Vec<String>,
    /// What it has that others have not: only requests for one of these get it.
    pub capabilities: Vec<String>,
}

/// The user of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionUser {
    /// `slapuser0`.
    pub name: String,
    /// Its shell.
    pub shell: String,
    /// Its other groups.
    pub groups: Vec<String>,
}

/// An address and its netmask as an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionAddress {
    /// The address.
    pub address: IpAddr,
    /// Its netmask.
    pub netmask: IpAddr,
}

/// A range of IPv6 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Range {
    /// Its first address.
    pub address: Ipv6Addr,
    /// How many bits are fixed.
    pub prefix_length: u8,
}

/// A tap. The IPv4 part is there only where the node routes IPv4 to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tap {
    /// `slaptap0`, or empty.
    pub name: String,
    /// The address and the gateway that a machine behind it may use.
    pub ipv4: Option<TapIpv4>,
    /// The range behind it.
    pub ipv6: Option<TapIpv6>,
}

/// IPv4 behind a tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapIpv4 {
    /// For the machine behind it.
    pub address: Ipv4Addr,
    /// Its gateway.
    pub gateway: Ipv4Addr,
    /// How many bits are fixed.
    pub prefix_length: u8,
}

/// IPv6 behind a tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapIpv6 {
    /// The tap's own address.
    pub address: Ipv6Addr,
    /// For machines behind it: the first address of the range.
    pub gateway: Ipv6Addr,
    /// How many bits are fixed.
    pub prefix_length: u8,
}

impl TapIpv4 {
    /// Returns its netmask.
    pub fn netmask(&self) -> Ipv4Addr {
        let free = 32_u32.saturating_sub(self.prefix_length.into());
        Ipv4Addr::from_bits(u32::MAX.checked_shl(free).unwrap_or(0))
    }

    /// Returns the first address of its network.
    pub fn network(&self) -> Ipv4Addr {
        self.gateway & self.netmask()
    }
}

impl ComputerConfiguration {
    /// Returns the document to post.
    pub fn to_xml(&self) -> String {
        xml::write(&self.to_value())
    }

    /// Reads the document that was posted.
    pub fn from_xml(document: &str) -> Result<Self, DocumentError> {
        Ok(Self::from_value(xml::read(document)?)?)
    }
}

mod codec;
mod netmask;
