//! The socket of WireGuard's datagrams: many of one size to one peer leave by one call. Decides nothing.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::rc::Rc;

use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::{EcnCodepoint, RecvMeta, Transmit, UdpSocketState};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::drops::Reason;
use super::ecn::Ecn;

/// What one call may send or receive: the largest datagram of UDP there is, which the kernel cuts.
pub(super) const LARGEST: usize = 65_535;
/// What is left of it to datagrams: the kernel counts the headers of IPv6 and UDP.
const ROOM: usize = LARGEST - 48;
/// More datagrams at once are refused by kernels before 6.9.
const MOST: usize = 64;
/// What the kernel may hold for us while we do something else.
const KERNEL_BUFFER: usize = 4 << 20;

/// The way to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Where the peer is.
    pub(super) endpoint: SocketAddr,
    /// Which address of ours it talks to, so that it is answered from there.
    pub(super) source: Option<IpAddr>,
}

/// A bound socket, and what is about to leave.
#[derive(Debug)]
pub(super) struct Outlet {
    socket: Rc<UdpSocket>,
    state: UdpSocketState,
    batch: Batch,
    is_stuck: bool,
    lost_source: Option<IpAddr>,
}

/// Datagrams of one size, but for the last one, which may be shorter.
#[derive(Debug)]
struct Batch {
    bytes: Vec<u8>,
    size: usize,
    count: usize,
    is_closed: bool,
    to: Option<(Way, Ecn)>,
}

impl Outlet {
    /// Binds the port for both IPv4 and IPv6, in the network namespace of the calling thread.
    pub(super) fn open(port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_only_v6(false)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
        // Without the right to do so, the limits of the machine stay.
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &KERNEL_BUFFER);
        let _ = setsockopt(&socket, sockopt::SndBufForce, &KERNEL_BUFFER);
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self {
            state: offload(&socket)?,
            socket: Rc::new(socket),
            batch: Batch::new(),
            is_stuck: false,
            lost_source: None,
        })
    }

    /// Returns the port that it is bound to.
    pub(super) fn port(&self) -> u16 {
        self.socket.local_addr().map_or(0, |address| address.port())
    }

    /// Returns the socket, to wait for it.
    pub(super) fn socket(&self) -> Rc<UdpSocket> {
        Rc::clone(&self.socket)
    }

    /// Says whether the socket takes no more for now.
    pub(super) fn is_stuck(&self) -> bool {
        self.is_stuck
    }

    /// Returns the address of ours that is no longer ours, once.
    pub(super) fn take_lost_source(&mut self) -> Option<IpAddr> {
        self.lost_source.take()
    }

    /// Puts a datagram to those that are about to leave.
    pub(super) fn push(&mut self, datagram: &[u8], way: Way, ecn: Ecn) -> Result<(), Reason> {
        let most = self.state.max_gso_segments().min(MOST);
        if self.batch.takes(datagram, (way, ecn), most) {
            return Ok(());
        }
        let sent = self.flush();
        if self.is_stuck || !self.batch.takes(datagram, (way, ecn), most) {
            return Err(Reason::NotTaken);
        }
        sent
    }

    /// Lets everything leave; what the socket does not take for now stays.
    pub(super) fn flush(&mut self) -> Result<(), Reason> {
        let Some((way, ecn)) = self.batch.to else {
            return Ok(());
        };
        let sent = match self.send(&self.batch.bytes, way, ecn) {
            Err(err) if err.kind() != io::ErrorKind::WouldBlock => {
                self.send_otherwise(way, ecn, err)
            }
            sent => sent,
        };
        self.is_stuck = matches!(&sent, Err(err) if err.kind() == io::ErrorKind::WouldBlock);
        if self.is_stuck {
            return Ok(());
        }
        self.batch.clear();
        sent.map_err(|_| Reason::NotTaken)
    }

    /// Receives what is there into `buffers`, which must be `LARGEST` each, and returns into how many.
    pub(super) fn receive(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> io::Result<usize> {
        self.socket.try_io(Interest::READABLE, || {
            self.state.recv((&*self.socket).into(), buffers, metas)
        })
    }

    fn send(&self, bytes: &[u8], way: Way, ecn: Ecn) -> io::Result<()> {
        let transmit = Transmit {
            destination: mapped(way.endpoint),
            ecn: EcnCodepoint::from_bits(ecn.bits()),
            contents: bytes,
            segment_size: Some(self.batch.size),
            src_ip: way.source,
        };
        let send = || self.state.try_send((&*self.socket).into(), &transmit);
        match send() {
            // Once more through the runtime, which keeps in mind that it has to wait for the socket.
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => {
                self.socket.try_io(Interest::WRITABLE, send)
            }
            sent => sent,
        }
    }

    /// Sends without what may have been refused: an address that is ours no longer, then cutting by the kernel, which
    /// it refuses where a datagram does not fit the way and must be taken apart.
    fn send_otherwise(&mut self, mut way: Way, ecn: Ecn, err: io::Error) -> io::Result<()> {
        let may_be_ours = [
            libc::EINVAL,
            libc::EIO,
            libc::EMSGSIZE,
            libc::EADDRNOTAVAIL,
            libc::ENETUNREACH,
        ];
        if !err
            .raw_os_error()
            .is_some_and(|code| may_be_ours.contains(&code))
        {
            return Err(err);
        }
        // The state keeps in mind that the kernel refused something; it may not have been what it thinks.
        self.state = offload(&self.socket)?;
        if let Some(source) = way.source.take()
            && self.send(&self.batch.bytes, way, ecn).is_ok()
        {
            self.lost_source = Some(source);
            return Ok(());
        }
        self.batch
            .bytes
            .chunks(self.batch.size.max(1))
            .try_for_each(|datagram| self.send(datagram, way, ecn))
    }
}

impl Batch {
    fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(LARGEST),
            size: 0,
            count: 0,
            is_closed: false,
            to: None,
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        (self.size, self.count, self.is_closed, self.to) = (0, 0, false, None);
    }

    /// Takes a datagram in, if it fits to those that are there.
    fn takes(&mut self, datagram: &[u8], to: (Way, Ecn), most: usize) -> bool {
        if self.to.is_none() {
            self.size = datagram.len();
            self.to = Some(to);
        }
        let fits = self.to == Some(to)
            && !self.is_closed
            && datagram.len() <= self.size
            && self.count < most.max(1)
            && self.bytes.len() + datagram.len() <= ROOM;
        if fits {
            self.bytes.extend_from_slice(datagram);
            self.count += 1;
            self.is_closed = datagram.len() < self.size;
        }
        fits
    }
}

/// Returns the way back to where something came from.
pub(super) fn way_back(meta: &RecvMeta) -> Way {
    let endpoint = match meta.addr.ip().to_canonical() {
        IpAddr::V4(address) => SocketAddr::from((address, meta.addr.port())),
        IpAddr::V6(_) => meta.addr,
    };
    Way {
        endpoint,
        source: meta.dst_ip.map(|address| address.to_canonical()),
    }
}

/// Has the kernel cut and join datagrams. WireGuard's may be taken apart on the way, as the kernel's own does it.
fn offload(socket: &UdpSocket) -> io::Result<UdpSocketState> {
    let state = UdpSocketState::new(socket.into())?;
    set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DONT)?;
    set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DONT)?;
    setsockopt(socket, sockopt::Ipv6DontFrag, &false)?;
    Ok(state)
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(address) => {
            SocketAddrV6::new(address.ip().to_ipv6_mapped(), address.port(), 0, 0).into()
        }
        SocketAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests;
