//! The port through which the node changes its machine, and the real one behind it.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::SystemTime;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;
use slapbox_overlay::babel::{self, Babel, Origin};
use slapbox_overlay::links::{self, Desired, Observed, Outcome, Plane};
use tokio::net::UdpSocket;

use super::talk;

/// A machine that can have links; tests have another.
pub trait Machine: Sync {
    /// Makes the links as desired, and says how they were.
    fn links(
        &self,
        desired: &Desired,
    ) -> impl Future<Output = Result<Outcome, links::Error>> + Send;

    /// Says how links are that were `seen` before and that nobody has changed since.
    fn look_again(
        &self,
        seen: &Observed,
    ) -> impl Future<Output = Result<Observed, links::Error>> + Send;

    /// Makes a running babeld speak as desired; says whether one runs.
    fn babel(&self, babel: &Babel) -> impl Future<Output = Result<bool, babel::Error>> + Send;

    /// Returns what neighbours say to be their own, as babeld hears it.
    fn origins(
        &self,
        babel: &Babel,
    ) -> impl Future<Output = Result<Vec<Origin>, babel::Error>> + Send;

    /// Ends a running babeld, whose supervisor starts it anew.
    fn restart_babel(&self, babel: &Babel)
    -> impl Future<Output = Result<(), babel::Error>> + Send;

    /// Where datagrams from neighbours arrive.
    type Ear: Ear;

    /// Opens the port for what nodes say, at an address of this one: only for what comes through an interface, if one is named.
    fn listen(&self, at: Ipv6Addr, through: Option<&str>) -> io::Result<Self::Ear>;

    /// Returns the addresses of the machine, and of which interfaces they are.
    fn addresses(&self) -> Vec<(String, IpAddr)>;
}

/// Sends to other nodes, and hears them.
pub trait Ear: Send + Sync {
    /// Sends a datagram to the same port at an address; it may get lost.
    fn say(&self, to: Ipv6Addr, what: &[u8]) -> io::Result<()>;

    /// Waits for the next datagram, and returns from whom and how long it is. To cease waiting loses nothing.
    fn hear(&self, into: &mut [u8]) -> impl Future<Output = io::Result<(Ipv6Addr, usize)>> + Send;
}

/// This machine.
#[derive(Clone, Debug)]
pub struct Linux {
    plane: Plane,
}

impl Linux {
    /// Takes the machine as it is: where its kernel cannot carry the packets of links, this process does.
    pub async fn open() -> Result<Self, links::Error> {
        let (plane, lack) = Plane::choose().await?;
        match lack {
            None => tracing::info!("the kernel carries the packets of links"),
            Some(lack) => {
                tracing::info!(
                    "this process carries the packets of links: the kernel has no {lack}"
                );
            }
        }
        Ok(Self { plane })
    }
}

impl Machine for Linux {
    async fn links(&self, desired: &Desired) -> Result<Outcome, links::Error> {
        links::reconcile(&self.plane, desired, SystemTime::now()).await
    }

    async fn look_again(&self, seen: &Observed) -> Result<Observed, links::Error> {
        links::look_again(&self.plane, seen, SystemTime::now()).await
    }

    async fn babel(&self, babel: &Babel) -> Result<bool, babel::Error> {
        Ok(babel::reconcile(babel).await?.is_some())
    }

    async fn origins(&self, babel: &Babel) -> Result<Vec<Origin>, babel::Error> {
        babel::origins(babel.socket.as_ref()).await
    }

    async fn restart_babel(&self, babel: &Babel) -> Result<(), babel::Error> {
        babel::stop(babel.socket.as_ref()).await
    }

    type Ear = UdpSocket;

    fn listen(&self, at: Ipv6Addr, through: Option<&str>) -> io::Result<UdpSocket> {
        let socket = socket2::Socket::new(
            socket2::Domain::IPV6,
            socket2::Type::DGRAM.nonblocking().cloexec(),
            None,
        )?;
        socket.bind_device(through.map(str::as_bytes))?;
        socket.bind(&SocketAddr::from((at, talk::PORT)).into())?;
        UdpSocket::from_std(socket.into())
    }

    fn addresses(&self) -> Vec<(String, IpAddr)> {
        let Ok(all) = getifaddrs() else {
            return Vec::new();
        };
        all.filter_map(|it| Some((it.interface_name, ip_of(&it.address?)?)))
            .collect()
    }
}

impl Ear for UdpSocket {
    fn say(&self, to: Ipv6Addr, what: &[u8]) -> io::Result<()> {
        self.try_send_to(what, (to, talk::PORT).into()).map(drop)
    }

    async fn hear(&self, into: &mut [u8]) -> io::Result<(Ipv6Addr, usize)> {
        loop {
            let (length, from) = self.recv_from(into).await?;
            // Another port is another program of that machine, which may be anybody's.
            if let SocketAddr::V6(from) = from
                && from.port() == talk::PORT
            {
                return Ok((*from.ip(), length));
            }
        }
    }
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|it| IpAddr::V4(it.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|it| IpAddr::V6(it.ip())))
}
