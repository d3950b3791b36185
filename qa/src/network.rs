//! How machines reach each other without root: each has QEMU's user network, and the master's ports are forwarded from free
//! ports of the host's loopback, which every machine sees as one address. Nothing listens outside the loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use anyhow::{Context as _, Result};

/// The host's loopback as a machine sees it.
pub const HOST_SEEN_FROM_A_MACHINE: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The UDP port of the overlay on every box.
pub const OVERLAY_PORT: u16 = 6326;
/// The port where a master answers.
pub const MASTER_PORT: u16 = 443;

/// Where one master is reached: a TCP and a UDP port of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MasterAddress {
    /// TLS.
    pub tls: u16,
    /// The overlay.
    pub overlay: u16,
}

impl MasterAddress {
    /// Chooses ports that nobody uses.
    pub fn free() -> Result<Self> {
        Ok(Self {
            tls: free_tcp_port()?,
            overlay: free_udp_port()?,
        })
    }

    /// The master's URL for a machine of the lab.
    pub fn url_for_machines(self) -> String {
        format!("https://{HOST_SEEN_FROM_A_MACHINE}:{}", self.tls)
    }

    /// The master's URL for the host.
    pub fn url_for_host(self) -> String {
        format!("https://127.0.0.1:{}", self.tls)
    }

    /// Where machines reach the master's end of the overlay.
    pub fn overlay_for_machines(self) -> String {
        format!("{HOST_SEEN_FROM_A_MACHINE}:{}", self.overlay)
    }

    /// What QEMU forwards to the machine that is the master.
    pub fn forwards(self) -> Vec<Forward> {
        vec![
            Forward {
                protocol: "tcp",
                from: self.tls,
                to: MASTER_PORT,
            },
            Forward {
                protocol: "udp",
                from: self.overlay,
                to: OVERLAY_PORT,
            },
        ]
    }
}

/// A port of the host's loopback that leads into a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// Port on the host.
    pub from: u16,
    /// Port in the machine.
    pub to: u16,
}

/// A TCP port of the loopback that nobody uses.
pub fn free_tcp_port() -> Result<u16> {
    let socket = TcpListener::bind(loopback()).context("cannot find a free TCP port")?;
    Ok(socket
        .local_addr()
        .context("a bound socket has no address")?
        .port())
}

pub fn free_udp_port() -> Result<u16> {
    let socket = UdpSocket::bind(loopback()).context("cannot find a free UDP port")?;
    Ok(socket
        .local_addr()
        .context("a bound socket has no address")?
        .port())
}

fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}
