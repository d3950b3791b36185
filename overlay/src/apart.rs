//! A network namespace that a partition has for itself, for software that binds a fixed port of all addresses.
//!
//! A pair of virtual interfaces leads into it: `slapvethN` on the node, `eth0` inside. While it is there, the partition's
//! IPv6 is inside and not on `lo`. It ends with its last process, and the pair with it. Who is inside has no power over
//! it: it belongs to the node's own user namespace.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv6Addr};

use ipnet::Ipv6Net;
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;
use rtnetlink::packet_route::RouteNetlinkMessage;

use crate::netlink::{self, Host, Netlink, Owner, Via};

/// What the names of the node's ends begin with.
pub(crate) const LINK_PREFIX: &str = "slapveth";
/// The interface inside.
const INSIDE: &str = "eth0";
/// `lo` is the first of every namespace.
const LOOPBACK: u32 = 1;
/// Both ends know each other by addresses that nobody else sees.
const NODE_END: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const INSIDE_END: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
const LINK_LOCAL_LENGTH: u8 = 64;
/// Where who is inside finds the node's name server: on every node's end, and nowhere else.
pub const NAME_SERVER: Ipv6Addr = Ipv6Addr::new(0xfd73, 0x6c61, 0x7062, 0x6f78, 0, 0, 0, 0x53);
/// What is refused to all but root on a node is no secret in a namespace with one owner.
const SETTINGS: [(&str, &str); 2] = [
    ("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"),
    ("/proc/sys/net/ipv4/ping_group_range", "0 2147483647"),
];

/// A partition cannot have a network of its own, or cannot come back from it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel cannot be asked.
    #[error(transparent)]
    Netlink(netlink::Error),
    /// No runtime for the socket.
    #[error("failed to prepare for the kernel's answers")]
    Runtime(#[source] io::Error),
    /// No namespace.
    #[error("failed to make a network namespace")]
    Unshare(#[source] io::Error),
    /// The kernel refused a step.
    #[error("failed to {step}")]
    Step {
        /// In words.
        step: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A setting of the new namespace cannot be made.
    #[error("failed to set `{path}`")]
    Setting {
        /// Its file.
        path: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

/// Returns the name of the node's end for partition `index`.
pub fn link_name(index: u16) -> String {
    format!("{LINK_PREFIX}{index}")
}

/// Moves the calling thread into a new network namespace, with the IPv6 of partition `index`.
pub fn leave_node(index: u16, ipv6: Ipv6Addr) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    runtime.block_on(async {
        let node = Netlink::open().map_err(Error::Netlink)?;
        // What was there before may still be ending.
        remove_pair(&node, index).await?;
        unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| Error::Unshare(errno.into()))?;
        let inside = Netlink::open().map_err(Error::Netlink)?;
        furnish_node(&node, index, ipv6).await?;
        furnish_inside(&inside, ipv6).await
    })?;
    SETTINGS.into_iter().try_for_each(|(path, value)| {
        let set = || {
            OpenOptions::new()
                .write(true)
                .open(path)?
                .write_all(value.as_bytes())
        };
        set().map_err(|source| Error::Setting { path, source })
    })
}

/// Ends the way into the namespace of partition `index`, if there is one, and has its IPv6 on the node again.
pub async fn come_home(index: u16, ipv6: Ipv6Addr) -> Result<(), Error> {
    let node = Netlink::open().map_err(Error::Netlink)?;
    remove_pair(&node, index).await?;
    let address = netlink::add_address(host(LOOPBACK, ipv6, 128), Owner::Partitions);
    ask(&node, "put its IPv6 on the node", address).await
}

async fn remove_pair(node: &Netlink, index: u16) -> Result<(), Error> {
    for link in node.links().await.map_err(Error::Netlink)? {
        if netlink::name_of(&link) == Some(&link_name(index)) {
            let removal = netlink::remove_link(link.header.index);
            ask(node, "remove the pair of interfaces", removal).await?;
        }
    }
    Ok(())
}

async fn furnish_node(node: &Netlink, index: u16, ipv6: Ipv6Addr) -> Result<(), Error> {
    let inside = gettid().as_raw().cast_unsigned();
    let name = link_name(index);
    let pair = netlink::add_pair(&name, INSIDE, inside);
    ask(node, "make a pair of interfaces", pair).await?;
    let mut found = node.links().await.map_err(Error::Netlink)?.into_iter();
    let link = found.find(|link| netlink::name_of(link) == Some(&name));
    let link = link.map(|link| link.header.index).ok_or(Error::Step {
        step: "find the pair of interfaces",
        source: io::ErrorKind::NotFound.into(),
    })?;
    let owner = Owner::Partitions;
    let from_lo = netlink::remove_address(host(LOOPBACK, ipv6, 128));
    let own = netlink::add_address(host(link, NODE_END, LINK_LOCAL_LENGTH), owner);
    let names = netlink::add_address(host(link, NAME_SERVER, 128), owner);
    let route = netlink::add_route(Ipv6Net::from(ipv6), Via::Link(link), owner);
    ask(node, "take its IPv6 from the node", from_lo).await?;
    ask(node, "keep the node's end bare", netlink::keep_bare(link)).await?;
    ask(node, "set the node's end up", netlink::raise(link)).await?;
    ask(node, "give the node's end an address", own).await?;
    ask(node, "give it a name server", names).await?;
    ask(node, "route its IPv6", route).await
}

async fn furnish_inside(inside: &Netlink, ipv6: Ipv6Addr) -> Result<(), Error> {
    let link = if_nametoindex(INSIDE).map_err(|errno| Error::Step {
        step: "find its end",
        source: errno.into(),
    })?;
    let owner = Owner::Partitions;
    let everywhere = Ipv6Net::new(Ipv6Addr::UNSPECIFIED, 0).expect("the shortest length");
    let own = netlink::add_address(host(link, ipv6, 128), owner);
    let local = netlink::add_address(host(link, INSIDE_END, LINK_LOCAL_LENGTH), owner);
    let way = netlink::add_route(Ipv6Net::from(NODE_END), Via::Link(link), owner);
    let route = netlink::add_route(everywhere, Via::Gateway(link, NODE_END), owner);
    ask(inside, "set its `lo` up", netlink::raise(LOOPBACK)).await?;
    ask(inside, "keep its end bare", netlink::keep_bare(link)).await?;
    ask(inside, "set its end up", netlink::raise(link)).await?;
    ask(inside, "give it its link's address", local).await?;
    ask(inside, "give it its IPv6", own).await?;
    ask(inside, "show it the node", way).await?;
    ask(inside, "show it the way out", route).await
}

async fn ask(
    netlink: &Netlink,
    step: &'static str,
    request: RouteNetlinkMessage,
) -> Result<(), Error> {
    let answer = netlink.request(request).await;
    answer
        .map(drop)
        .map_err(|source| Error::Step { step, source })
}

fn host(link: u32, address: Ipv6Addr, length: u8) -> Host {
    Host {
        link,
        address: IpAddr::V6(address),
        length,
    }
}
