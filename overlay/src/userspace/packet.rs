//! The headers of IPv6 that a node puts before its tunnels' packets and takes off again. Pure.
//!
//! A tunnel is IPv6 in IPv6 (RFC 2473), as the kernel's `ip6tnl` makes it: next header 41, hop limit 64, and at most a
//! header of destination options with the encapsulation limit, which is understood and never sent.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::drops::Reason;
use super::ecn::Ecn;

/// Length of a header of IPv6.
pub(super) const HEADER: usize = 40;

const HOP_LIMIT: u8 = 64;
const NEXT_IPV6: u8 = 41;
const NEXT_OPTIONS: u8 = 60;
/// Options of RFC 8200 and RFC 2473.
const PAD_1: u8 = 0;
const PAD_N: u8 = 1;
const ENCAPSULATION_LIMIT: u8 = 4;

/// What a packet from a peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Who says to have sent it.
    pub(super) source: Ipv6Addr,
    /// Where it goes.
    pub(super) to: To,
    /// Where in the buffer the packet is that goes there, without the padding of WireGuard.
    pub(super) range: Range<usize>,
}

/// Where a packet from a peer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// To the link network.
    Links,
    /// To the tunnel with this end of ours.
    Tunnel(Ipv6Addr),
}

/// Returns the header of a tunnel for an inner packet.
pub(super) fn header(local: Ipv6Addr, remote: Ipv6Addr) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0] = 6 << 4;
    header[6] = NEXT_IPV6;
    header[7] = HOP_LIMIT;
    header[8..24].copy_from_slice(&local.octets());
    header[24..40].copy_from_slice(&remote.octets());
    header
}

/// Writes the header of a tunnel into the space that was left before the inner packet; says no to what is not IPv6.
pub(super) fn wrap(packet: &mut [u8], header: &[u8; HEADER]) -> Result<(), Reason> {
    let (space, inner) = packet
        .split_at_mut_checked(HEADER)
        .ok_or(Reason::Malformed)?;
    let length = length_of(inner)?;
    if length != inner.len() {
        return Err(Reason::Malformed);
    }
    let payload = u16::try_from(length).map_err(|_| Reason::TooLarge)?;
    space.copy_from_slice(header);
    space[4..6].copy_from_slice(&payload.to_be_bytes());
    set_ecn(space, ecn_of(inner));
    Ok(())
}

/// Returns where a packet goes to; it must be whole, and IPv6.
pub(super) fn destination(packet: &[u8]) -> Result<Ipv6Addr, Reason> {
    length_of(packet)?;
    address_at(packet, 24)
}

/// Returns the mark of a packet of IPv6.
pub(super) fn ecn_of(packet: &[u8]) -> Ecn {
    packet
        .get(1)
        .map_or(Ecn::NotCapable, |byte| Ecn::from_bits(byte >> 4))
}

/// Looks into a packet that WireGuard decrypted, and carries over the marks of what it takes off: `outer` is that of
/// the datagram.
pub(super) fn arrival(packet: &mut [u8], outer: Ecn) -> Result<Arrival, Reason> {
    let end = length_of(packet)?;
    let packet = &mut packet[..end];
    leave(packet, outer)?;
    let source = address_at(packet, 8)?;
    let Some(start) = tunnelled(packet)? else {
        return Ok(Arrival {
            source,
            to: To::Links,
            range: 0..end,
        });
    };
    let to = To::Tunnel(address_at(packet, 24)?);
    let outer = ecn_of(packet);
    let inner = &mut packet[start..];
    let length = length_of(inner)?;
    leave(inner, outer)?;
    Ok(Arrival {
        source,
        to,
        range: start..start + length,
    })
}

/// Returns where the inner packet of a tunnel begins, if it is a tunnel's.
fn tunnelled(packet: &[u8]) -> Result<Option<usize>, Reason> {
    match packet[6] {
        NEXT_IPV6 => Ok(Some(HEADER)),
        NEXT_OPTIONS => {
            let [next, units] = *packet.get(HEADER..HEADER + 2).ok_or(Reason::Malformed)? else {
                return Err(Reason::Malformed);
            };
            if next != NEXT_IPV6 {
                return Ok(None);
            }
            let end = HEADER + 8 * (usize::from(units) + 1);
            let options = packet.get(HEADER + 2..end).ok_or(Reason::Malformed)?;
            only_a_limit(options)?;
            Ok(Some(end))
        }
        _ => Ok(None),
    }
}

/// Says no to options that mean something else than the encapsulation limit.
fn only_a_limit(mut options: &[u8]) -> Result<(), Reason> {
    while let [kind, rest @ ..] = options {
        if *kind == PAD_1 {
            options = rest;
            continue;
        }
        let [length, rest @ ..] = rest else {
            return Err(Reason::Malformed);
        };
        let is_known = match *kind {
            PAD_N => true,
            ENCAPSULATION_LIMIT => *length == 1,
            _ => false,
        };
        options = rest
            .get(usize::from(*length)..)
            .filter(|_| is_known)
            .ok_or(Reason::Malformed)?;
    }
    Ok(())
}

/// Returns the length that a packet says to have; the buffer must hold all of it.
fn length_of(packet: &[u8]) -> Result<usize, Reason> {
    if packet.len() < HEADER || packet[0] >> 4 != 6 {
        return Err(Reason::Malformed);
    }
    let length = HEADER + usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    if length > packet.len() {
        return Err(Reason::Malformed);
    }
    Ok(length)
}

fn address_at(packet: &[u8], start: usize) -> Result<Ipv6Addr, Reason> {
    let octets = packet.get(start..start + 16);
    let octets: [u8; 16] = octets
        .and_then(|octets| octets.try_into().ok())
        .ok_or(Reason::Malformed)?;
    Ok(octets.into())
}

/// Marks a packet as it must be when a header marked `outer` goes.
fn leave(packet: &mut [u8], outer: Ecn) -> Result<(), Reason> {
    let inner = ecn_of(packet);
    let mark = outer.leaving(inner).ok_or(Reason::Congested)?;
    if mark != inner {
        set_ecn(packet, mark);
    }
    Ok(())
}

fn set_ecn(packet: &mut [u8], mark: Ecn) {
    packet[1] = packet[1] & !0x30 | mark.bits() << 4;
}

#[cfg(test)]
mod tests;
