//! Who carries the packets: the kernel, or this process where the kernel cannot.

use std::fmt;
use std::net::Ipv6Addr;

use netlink_packet_wireguard::WireguardMessage;
use nix::net::if_::if_nametoindex;

use super::{Error, LOOPBACK, tunnel_name};
use crate::netlink::{self, Netlink};
use crate::userspace;

/// No node has this index in its network, so that nobody has a tunnel to it.
const NOBODY: u32 = 0;

/// Who carries the packets of the links.
#[derive(Clone, Debug)]
pub enum Plane {
    /// The kernel's WireGuard and tunnels.
    Kernel,
    /// A thread of this process.
    Userspace(userspace::Plane),
}

/// What a kernel does not have, so that this process must do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// WireGuard.
    WireGuard,
    /// Tunnels of IPv6 in IPv6.
    Tunnels,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WireGuard => "WireGuard",
            Self::Tunnels => "tunnels of IPv6 in IPv6 (ip6tnl)",
        })
    }
}

impl Plane {
    /// Takes the kernel if it can do all, or starts a data plane in the network namespace of the calling thread; then it
    /// says what the kernel lacks.
    pub async fn choose() -> Result<(Self, Option<Lack>), Error> {
        let lack = lack().await?;
        let plane = match lack {
            None => Self::Kernel,
            Some(_) => Self::Userspace(userspace::Plane::start().map_err(Error::Start)?),
        };
        Ok((plane, lack))
    }
}

/// Finds out what the kernel lacks, which may load its modules.
async fn lack() -> Result<Option<Lack>, Error> {
    if !has_wireguard().await? {
        return Ok(Some(Lack::WireGuard));
    }
    let has_tunnels = has_tunnels().await?;
    Ok((!has_tunnels).then_some(Lack::Tunnels))
}

async fn has_wireguard() -> Result<bool, Error> {
    let (connection, handle, _) = genetlink::new_connection().map_err(Error::Try)?;
    let task = tokio::spawn(connection);
    let family = handle.resolve_family::<WireguardMessage>().await;
    task.abort();
    Ok(family.is_ok())
}

/// Tries to make a tunnel: a kernel without them says so, and nothing else tells.
async fn has_tunnels() -> Result<bool, Error> {
    let netlink = Netlink::open().map_err(Error::Observe)?;
    let name = tunnel_name(NOBODY);
    let over = if_nametoindex(LOOPBACK).map_err(|err| Error::Try(err.into()))?;
    let end = Ipv6Addr::LOCALHOST;
    match netlink
        .request(netlink::add_tunnel(&name, end, end, over, 1280))
        .await
    {
        Ok(_) => {}
        Err(err) if err.raw_os_error() == Some(libc::EOPNOTSUPP) => return Ok(false),
        Err(err) => return Err(Error::Try(err)),
    }
    let index = if_nametoindex(name.as_str()).map_err(|err| Error::Try(err.into()))?;
    let removed = netlink.request(netlink::remove_link(index)).await;
    removed.map(|_| true).map_err(Error::Try)
}
