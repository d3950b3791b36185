//! Whether UDP works, tried beside a carrier: copies of a few datagrams, by sockets of their own, and what comes back.
//!
//! A copy does no harm: WireGuard takes the first of two that are the same, and looks at a counter before it notes from where a datagram came
//! (`wg_packet_rx_poll` in Linux's `drivers/net/wireguard/receive.c`), so that the second moves nothing either. If UDP leads there and not back,
//! the other WireGuard answers in vain until it hears the next datagram by the carrier, so there are few copies, with others between them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::Instant;

use crate::carrier::LONGEST;

/// Copies for one probe, for one may get lost, and the time between them.
const COPIES: u32 = 3;
const BETWEEN: Duration = Duration::from_millis(900);

/// Which datagrams are copied.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tries {
    probe: u64,
    left: u32,
    last: Option<Instant>,
}

impl Tries {
    /// Says whether the datagram of this moment is to be copied for the probe of this number.
    pub(super) fn may(&mut self, probe: u64, now: Instant) -> bool {
        if self.probe != probe {
            *self = Self {
                probe,
                left: COPIES,
                last: None,
            };
        }
        let is_time = self.last.is_none_or(|last| now - last >= BETWEEN);
        let may = self.left > 0 && is_time;
        if may {
            self.left -= 1;
            self.last = Some(now);
        }
        may
    }
}

/// A socket for each kind of address that the machine has.
#[derive(Debug)]
pub(super) struct Probes {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
}

impl Probes {
    pub(super) fn open() -> Self {
        let opened = |at: SocketAddr| {
            let socket = bound(at);
            socket
                .inspect_err(|err| tracing::debug!(%at, error = %err, "no socket to try UDP"))
                .ok()
        };
        Self {
            v4: opened((Ipv4Addr::UNSPECIFIED, 0).into()),
            v6: opened((Ipv6Addr::UNSPECIFIED, 0).into()),
        }
    }

    /// Sends a datagram to each of these addresses; it may get lost.
    pub(super) fn send(&self, datagram: &[u8], to: &[SocketAddr]) {
        for to in to {
            let socket = if to.is_ipv4() { &self.v4 } else { &self.v6 };
            if let Some(socket) = socket
                && let Err(err) = socket.try_send_to(datagram, *to)
            {
                tracing::debug!(%to, error = %err, "UDP was not tried");
            }
        }
    }

    /// Hears what comes back, for ever.
    pub(super) async fn listen(&self, mut heard: impl FnMut(SocketAddr, &[u8])) {
        let (mut v4, mut v6) = (vec![0; LONGEST], vec![0; LONGEST]);
        loop {
            tokio::select! {
                (from, length) = hear(self.v4.as_ref(), &mut v4) => heard(from, &v4[..length]),
                (from, length) = hear(self.v6.as_ref(), &mut v6) => heard(from, &v6[..length]),
            }
        }
    }
}

fn bound(at: SocketAddr) -> io::Result<UdpSocket> {
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(at), kind, None)?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&at.into())?;
    UdpSocket::from_std(socket.into())
}

async fn hear(socket: Option<&UdpSocket>, into: &mut [u8]) -> (SocketAddr, usize) {
    let Some(socket) = socket else {
        return std::future::pending().await;
    };
    loop {
        match socket.recv_from(into).await {
            Ok((length, from)) => return (from, length),
            // That a copy did not arrive is what a probe is there to find out.
            Err(err) => {
                tracing::debug!(error = %err, "UDP does not get through");
                tokio::time::sleep(BETWEEN).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_datagrams_are_copied_for_a_probe() {
        let mut tries = Tries::default();
        let begun = Instant::now();
        let mut copied = |probe, millis| tries.may(probe, begun + Duration::from_millis(millis));
        assert!(!copied(0, 0), "nothing was to be tried yet");
        let all = (0..20).map(|tick| tick * 500);
        let times: Vec<_> = all.filter(|millis| copied(1, *millis)).collect();
        assert_eq!(times, [0, 1000, 2000]);
        assert!(copied(2, 10_000));
    }
}
