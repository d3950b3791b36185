//! WireGuard's datagrams in a stream of bytes: what both ends of a carrier have in common.
//!
//! Where UDP is blocked, a node's datagrams travel in the TLS by which it calls its registry, in a connection of HTTP that was upgraded. In the
//! stream each datagram comes after its length. A packet inside needs to be no smaller for that: a stream has no largest packet, and on both
//! machines the way between carrier and WireGuard is the loopback, whose packets are larger than any of WireGuard's.
//!
//! Nothing waits here for long: while the stream takes nothing, datagrams wait in the socket's own small buffer, and what finds no room there is
//! lost, as datagrams may be. It never looks into a datagram, which only WireGuard's ends can read.

mod frames;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use tokio_util::codec::FramedRead;

pub use frames::BadFrame;
pub(crate) use frames::LONGEST;
use frames::{Frames, push};

/// What both ends call it when they upgrade their connection.
pub const PROTOCOL: &str = "slapbox-datagrams";

/// An end that hears nothing for so long ends: tunnels beat twice a second, and WireGuard itself says something in less.
const IDLE: Duration = Duration::from_secs(90);
/// A stream that takes nothing for so long is at its end.
const STUCK: Duration = Duration::from_secs(15);
/// Of what has come at the same time, how much is written at once: as much as one record of TLS holds.
const BATCH: usize = 16 * 1024;
/// Bytes in the kernel for datagrams that the stream does not take at once: half a second of them at a megabit per second. More would only
/// make them late.
const WAITING: usize = 64 * 1024;

/// Why a carrier ended, for logs.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The other end has closed the stream.
    #[error("the other end has closed the connection")]
    Closed,
    /// Nothing came from there.
    #[error("nothing came from the other end for {} s", IDLE.as_secs())]
    Idle,
    /// Nothing could be sent there.
    #[error("the other end took nothing for {} s", STUCK.as_secs())]
    Stuck,
    /// What came is not what was agreed on.
    #[error("what the other end sent is not understood")]
    Frame(#[source] BadFrame),
    /// Nothing can be sent to the other end.
    #[error("failed to write to the other end")]
    Write(#[source] io::Error),
    /// The way to WireGuard is gone.
    #[error("failed to talk to WireGuard")]
    WireGuard(#[source] io::Error),
}

/// Opens the way to the WireGuard of this machine that listens on a port. What comes from anywhere else is not heard.
///
/// # Errors
///
/// What the kernel refuses.
pub fn beside_wireguard(port: u16) -> io::Result<UdpSocket> {
    let kind = socket2::Type::DGRAM.nonblocking().cloexec();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, kind, None)?;
    socket.set_recv_buffer_size(WAITING)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    UdpSocket::from_std(socket.into())
}

/// Carries datagrams both ways until the stream ends; returns why.
///
/// `sends` sees each datagram of WireGuard's, and `delivers` is asked for each that came for it.
pub async fn carry(
    stream: impl AsyncRead + AsyncWrite,
    wireguard: &UdpSocket,
    sends: impl FnMut(&[u8]),
    delivers: impl FnMut() -> bool,
) -> Ended {
    let (reader, writer) = tokio::io::split(stream);
    tokio::select! {
        ended = outward(wireguard, writer, sends) => ended,
        ended = inward(reader, wireguard, delivers) => ended,
    }
}

/// Forgets the datagrams that wait: they are of before there was a stream.
pub fn forget_waiting(wireguard: &UdpSocket) {
    let mut datagram = [0; 1];
    while wireguard.try_recv(&mut datagram).is_ok() {}
}

async fn outward(
    wireguard: &UdpSocket,
    mut stream: impl AsyncWrite + Unpin,
    mut sends: impl FnMut(&[u8]),
) -> Ended {
    // One more than is carried: what fills it was longer.
    let mut datagram = vec![0; LONGEST + 1];
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let mut length = match wireguard.recv(&mut datagram).await {
            Ok(length) => length,
            Err(err) if is_nobody_there(&err) => continue,
            Err(err) => return Ended::WireGuard(err),
        };
        loop {
            sends(&datagram[..length]);
            push(&datagram[..length], &mut batch);
            if batch.len() >= BATCH {
                break;
            }
            match wireguard.try_recv(&mut datagram) {
                Ok(next) => length = next,
                Err(_) => break,
            }
        }
        let written = async {
            stream.write_all(&batch).await?;
            stream.flush().await
        };
        match timeout(STUCK, written).await {
            Ok(Ok(())) => batch.clear(),
            Ok(Err(err)) => return Ended::Write(err),
            Err(_) => return Ended::Stuck,
        }
    }
}

async fn inward(
    stream: impl AsyncRead + Unpin,
    wireguard: &UdpSocket,
    mut delivers: impl FnMut() -> bool,
) -> Ended {
    let mut frames = FramedRead::new(stream, Frames);
    loop {
        let datagram = match timeout(IDLE, frames.next()).await {
            Ok(Some(Ok(datagram))) => datagram,
            Ok(Some(Err(err))) => return Ended::Frame(err),
            Ok(None) => return Ended::Closed,
            Err(_) => return Ended::Idle,
        };
        if !delivers() {
            continue;
        }
        match wireguard.send(&datagram).await {
            Err(err) if !is_nobody_there(&err) => return Ended::WireGuard(err),
            Ok(_) | Err(_) => {}
        }
    }
}

/// Whether nobody listens on the port, or not yet: a datagram is lost, and the next one may not be.
fn is_nobody_there(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}
