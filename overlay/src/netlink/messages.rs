//! The few netlink messages that we send and read, built from and turned into plain values.
//!
//! Pure: it names no socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::Ipv6Net;
use rtnetlink::packet_core::Nla as _;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol,
};
use rtnetlink::packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoIpTunnel, InfoKind, InfoTun, InfoVeth,
    Ip6TunnelFlags, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::packet_route::{AddressFamily, IpProtocol, RouteNetlinkMessage};
use rtnetlink::{LinkIp6Tnl, LinkUnspec, LinkVeth, LinkWireguard};

const TABLE_LOCAL: u8 = 255;
/// Attribute of a tun device: the number of the user who may open it.
const IFLA_TUN_OWNER: u16 = 1;

/// Who put an address or a route into the kernel; stored there as its protocol, so that what is not ours stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// The partitions part.
    Partitions = 0x73,
    /// The links part.
    Links = 0x74,
}

impl Owner {
    /// Returns the owner as a route's protocol.
    pub(crate) fn protocol(self) -> RouteProtocol {
        RouteProtocol::from(self as u8)
    }
}

/// An address with its prefix length on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Host {
    pub(crate) link: u32,
    pub(crate) address: IpAddr,
    pub(crate) length: u8,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Via {
    /// The whole range is ours, on this interface.
    Local(u32),
    /// Directly through an interface.
    Link(u32),
    /// Through an interface to a neighbour.
    Gateway(u32, Ipv6Addr),
    /// Nowhere, and the sender is told.
    Unreachable,
}

/// Asks for an address to be added, without duplicate detection and without a route for its prefix.
///
/// A link-local address of a tunnel has its route: babeld speaks to one neighbour at such an address, for example when it has lost all ways
/// that cannot be loops and asks for a newer number; without the route nobody hears that, and the destination is lost for minutes.
pub(crate) fn add_address(host: Host, owner: Owner) -> RouteNetlinkMessage {
    let mut message = address_message(host);
    let is_link_local =
        matches!(host.address, IpAddr::V6(address) if address.is_unicast_link_local());
    let mut flags = AddressFlags::Nodad;
    if owner != Owner::Links || !is_link_local {
        flags |= AddressFlags::Noprefixroute;
    }
    message.attributes.push(AddressAttribute::Flags(flags));
    let owner = AddressProtocol::from(owner as u8);
    message.attributes.push(AddressAttribute::Protocol(owner));
    RouteNetlinkMessage::NewAddress(message)
}

/// Asks for an address to be removed.
pub(crate) fn remove_address(host: Host) -> RouteNetlinkMessage {
    RouteNetlinkMessage::DelAddress(address_message(host))
}

fn address_message(host: Host) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match host.address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.index = host.link;
    message.header.prefix_len = host.length;
    message
        .attributes
        .push(AddressAttribute::Local(host.address));
    message
        .attributes
        .push(AddressAttribute::Address(host.address));
    message
}

/// Returns the address of a message, and whether `owner` put it there.
pub(crate) fn address_of(message: &AddressMessage, owner: Owner) -> Option<(Host, bool)> {
    let mut address = None;
    let mut ours = false;
    for attribute in &message.attributes {
        match attribute {
            // IPv4 has both, and `Local` is then the interface's own.
            AddressAttribute::Local(ip) => address = Some(*ip),
            AddressAttribute::Address(ip) => address = address.or(Some(*ip)),
            AddressAttribute::Protocol(protocol) => ours = u8::from(*protocol) == owner as u8,
            _ => {}
        }
    }
    let host = Host {
        link: message.header.index,
        address: address?,
        length: message.header.prefix_len,
    };
    Some((host, ours))
}

/// Asks for a route.
pub(crate) fn add_route(destination: Ipv6Net, via: Via, owner: Owner) -> RouteNetlinkMessage {
    RouteNetlinkMessage::NewRoute(route_message(destination, via, owner.protocol()))
}

/// Asks for a route to be removed.
pub(crate) fn remove_route(destination: Ipv6Net, via: Via, owner: Owner) -> RouteNetlinkMessage {
    RouteNetlinkMessage::DelRoute(route_message(destination, via, owner.protocol()))
}

/// Returns the query for all IPv6 routes of a protocol.
pub(super) fn routes_by(protocol: RouteProtocol) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet6;
    message.header.protocol = protocol;
    message
}

fn route_message(destination: Ipv6Net, via: Via, protocol: RouteProtocol) -> RouteMessage {
    let mut message = routes_by(protocol);
    message.header.destination_prefix_length = destination.prefix_len();
    message.header.scope = RouteScope::Universe;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.kind = RouteType::Unicast;
    let to = RouteAddress::Inet6(destination.network());
    message.attributes.push(RouteAttribute::Destination(to));
    match via {
        Via::Local(link) => {
            message.header.table = TABLE_LOCAL;
            message.header.kind = RouteType::Local;
            message.attributes.push(RouteAttribute::Oif(link));
        }
        Via::Link(link) => message.attributes.push(RouteAttribute::Oif(link)),
        Via::Gateway(link, gateway) => {
            message.attributes.push(RouteAttribute::Oif(link));
            let gateway = RouteAddress::Inet6(gateway);
            message.attributes.push(RouteAttribute::Gateway(gateway));
        }
        Via::Unreachable => message.header.kind = RouteType::Unreachable,
    }
    message
}

/// Returns where a route of the kernel's leads, where it is one of the kinds that we make.
pub(crate) fn route_of(message: &RouteMessage) -> Option<(Ipv6Net, Via)> {
    let mut destination = Ipv6Addr::UNSPECIFIED;
    let (mut link, mut gateway) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet6(address)) => destination = *address,
            RouteAttribute::Gateway(RouteAddress::Inet6(address)) => gateway = Some(*address),
            RouteAttribute::Oif(index) => link = Some(*index),
            _ => {}
        }
    }
    let via = match (message.header.kind, link, gateway) {
        (RouteType::Unreachable, _, _) => Via::Unreachable,
        (RouteType::Local, Some(link), _) => Via::Local(link),
        (RouteType::Unicast, Some(link), None) => Via::Link(link),
        (RouteType::Unicast, Some(link), Some(gateway)) => Via::Gateway(link, gateway),
        _ => return None,
    };
    let length = message.header.destination_prefix_length;
    Some((Ipv6Net::new(destination, length).ok()?, via))
}

/// Asks for a direct way to one IPv4 address.
pub(crate) fn add_way(to: Ipv4Addr, link: u32, owner: Owner) -> RouteNetlinkMessage {
    RouteNetlinkMessage::NewRoute(way_message(to, link, owner))
}

/// Asks for a direct way to an IPv4 address to be removed.
pub(crate) fn remove_way(to: Ipv4Addr, link: u32, owner: Owner) -> RouteNetlinkMessage {
    RouteNetlinkMessage::DelRoute(way_message(to, link, owner))
}

/// Returns the query for all IPv4 routes of a protocol.
pub(super) fn ways_by(protocol: RouteProtocol) -> RouteMessage {
    let mut message = routes_by(protocol);
    message.header.address_family = AddressFamily::Inet;
    message
}

fn way_message(to: Ipv4Addr, link: u32, owner: Owner) -> RouteMessage {
    let mut message = ways_by(owner.protocol());
    message.header.destination_prefix_length = 32;
    message.header.scope = RouteScope::Link;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.kind = RouteType::Unicast;
    let to = RouteAttribute::Destination(RouteAddress::Inet(to));
    message.attributes.extend([to, RouteAttribute::Oif(link)]);
    message
}

/// Returns to which IPv4 address a route of the kernel's leads, and by which interface, where it is a direct way to one.
pub(crate) fn way_of(message: &RouteMessage) -> Option<(Ipv4Addr, u32)> {
    let (mut to, mut link) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => to = Some(*address),
            RouteAttribute::Oif(index) => link = Some(*index),
            RouteAttribute::Gateway(_) => return None,
            _ => {}
        }
    }
    let is_direct =
        message.header.kind == RouteType::Unicast && message.header.destination_prefix_length == 32;
    to.zip(link).filter(|_| is_direct)
}

/// Asks for an interface to be removed, with all that is on it.
pub(crate) fn remove_link(index: u32) -> RouteNetlinkMessage {
    RouteNetlinkMessage::DelLink(LinkUnspec::new_with_index(index).build())
}

/// Asks for an interface to be set up.
pub(crate) fn raise(index: u32) -> RouteNetlinkMessage {
    RouteNetlinkMessage::SetLink(LinkUnspec::new_with_index(index).up().build())
}

/// Asks for an interface's MTU to be set.
pub(crate) fn set_mtu(index: u32, mtu: u32) -> RouteNetlinkMessage {
    RouteNetlinkMessage::SetLink(LinkUnspec::new_with_index(index).mtu(mtu).build())
}

/// Asks for a WireGuard interface.
pub(crate) fn add_wireguard(name: &str, mtu: u32) -> RouteNetlinkMessage {
    RouteNetlinkMessage::NewLink(LinkWireguard::new(name).mtu(mtu).build())
}

/// Asks for a pair of virtual interfaces, the second of them in the network namespace of a thread.
pub(crate) fn add_pair(here: &str, there: &str, thread: u32) -> RouteNetlinkMessage {
    let namespace = LinkAttribute::NetNsPid(thread);
    let other = LinkUnspec::new_with_name(there).append_extra_attribute(namespace);
    let other = InfoData::Veth(InfoVeth::Peer(other.build()));
    let pair = LinkVeth::new(here, there).set_info_data(other);
    RouteNetlinkMessage::NewLink(pair.build())
}

/// Asks for a tunnel of IPv6 in IPv6 over the interface `over`.
pub(crate) fn add_tunnel(
    name: &str,
    local: Ipv6Addr,
    remote: Ipv6Addr,
    over: u32,
    mtu: u32,
) -> RouteNetlinkMessage {
    let message = LinkIp6Tnl::new(name)
        .local(local)
        .remote(remote)
        .dev(over)
        .protocol(IpProtocol::Ipv6)
        .ttl(64)
        // The limit would cost eight bytes of every packet.
        .set_flag(Ip6TunnelFlags::IgnEncapLimit, true)
        .mtu(mtu)
        .build();
    RouteNetlinkMessage::NewLink(message)
}

/// Asks the kernel not to make a link-local address on an interface; it refuses this while it makes the interface.
pub(crate) fn keep_bare(index: u32) -> RouteNetlinkMessage {
    let link = LinkUnspec::new_with_index(index).append_extra_attribute(bare());
    RouteNetlinkMessage::SetLink(link.build())
}

fn bare() -> LinkAttribute {
    let by_hand = vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)];
    LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(by_hand)])
}

/// Asks for an interface of the userspace plane to be like the kernel's: bare, and with packets of at most so many joined.
pub(crate) fn fit(index: u32, joined: u32) -> RouteNetlinkMessage {
    let link = LinkUnspec::new_with_index(index)
        .append_extra_attribute(bare())
        .append_extra_attribute(LinkAttribute::GsoMaxSegs(joined));
    RouteNetlinkMessage::SetLink(link.build())
}

/// Returns an interface's name.
pub(crate) fn name_of(link: &LinkMessage) -> Option<&str> {
    link.attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.as_str()),
            _ => None,
        })
}

/// Returns an interface's MTU.
pub(crate) fn mtu_of(link: &LinkMessage) -> Option<u32> {
    link.attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::Mtu(mtu) => Some(*mtu),
            _ => None,
        })
}

/// Says whether an interface is set up, with or without a carrier.
pub(crate) fn is_up(link: &LinkMessage) -> bool {
    link.header.flags.contains(LinkFlags::Up)
}

/// Returns what kind of virtual interface it is.
pub(crate) fn kind_of(link: &LinkMessage) -> Option<&InfoKind> {
    infos_of(link).find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind),
        _ => None,
    })
}

/// Returns the user who may open a tap, by number.
pub(crate) fn tap_owner(link: &LinkMessage) -> Option<u32> {
    let InfoData::Tun(attributes) = data_of(link)? else {
        return None;
    };
    attributes.iter().find_map(|attribute| {
        let InfoTun::Other(attribute) = attribute else {
            return None;
        };
        let mut value = [0; 4];
        let matches = attribute.kind() == IFLA_TUN_OWNER && attribute.value_len() == value.len();
        matches.then(|| {
            attribute.emit_value(&mut value);
            u32::from_ne_bytes(value)
        })
    })
}

/// Returns the local and the remote end of a tunnel.
pub(crate) fn tunnel_ends(link: &LinkMessage) -> Option<(Ipv6Addr, Ipv6Addr)> {
    let InfoData::IpTunnel(attributes) = data_of(link)? else {
        return None;
    };
    let (mut local, mut remote) = (None, None);
    for attribute in attributes {
        match attribute {
            InfoIpTunnel::Local(IpAddr::V6(address)) => local = Some(*address),
            InfoIpTunnel::Remote(IpAddr::V6(address)) => remote = Some(*address),
            _ => {}
        }
    }
    local.zip(remote)
}

fn data_of(link: &LinkMessage) -> Option<&InfoData> {
    infos_of(link).find_map(|info| match info {
        LinkInfo::Data(data) => Some(data),
        _ => None,
    })
}

fn infos_of(link: &LinkMessage) -> impl Iterator<Item = &LinkInfo> {
    link.attributes
        .iter()
        .flat_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(infos) => infos.as_slice(),
            _ => &[],
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_link_local_addresses_of_tunnels_have_a_route() {
        let has_route = |address: &str, owner| {
            let host = Host {
                link: 7,
                address: address.parse().unwrap(),
                length: 64,
            };
            let RouteNetlinkMessage::NewAddress(message) = add_address(host, owner) else {
                panic!("another message");
            };
            let flags = message.attributes.iter().find_map(|it| match it {
                AddressAttribute::Flags(flags) => Some(*flags),
                _ => None,
            });
            !flags.unwrap().contains(AddressFlags::Noprefixroute)
        };
        assert!(has_route("fe80::2", Owner::Links));
        assert!(!has_route("fd12:3456:789a:1::1", Owner::Links));
        assert!(!has_route("fe80::1", Owner::Partitions));
    }
}
