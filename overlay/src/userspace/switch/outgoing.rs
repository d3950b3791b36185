//! Packets of the interfaces to peers.

use gotatun::packet::{Packet, WgKind};
use gotatun::tun::MtuWatcher;

use super::{Origin, Switch};
use crate::userspace::device::{Device, Read};
use crate::userspace::drops::Reason;
use crate::userspace::ecn::Ecn;
use crate::userspace::outlet::Way;
use crate::userspace::packet::{self, HEADER};
use crate::userspace::peers::Place;

/// How many packets to one peer may wait for a session.
pub(super) const AWAITED: usize = 32;

impl Switch {
    /// Reads an interface once and puts what it gave to what is about to leave.
    pub(in crate::userspace) fn read(&mut self, device: &Device, origin: Origin) -> Read {
        let room = match origin {
            Origin::Links => 0,
            Origin::Tunnel(..) => HEADER,
        };
        let read = device.read(&mut self.scratch, room);
        match read {
            Read::Packets(count) => {
                for number in 0..count {
                    let (packet, length) = self.scratch.take(number);
                    let sent = self.leave(packet, room + length, origin);
                    self.drops.count_err(sent);
                }
            }
            Read::Refused(reason) => self.drops.count(reason),
            Read::Nothing | Read::Gone => {}
        }
        read
    }

    /// Encrypts a packet of an interface, which is in the first `length` bytes of its buffer, and lets it leave.
    pub(super) fn leave(
        &mut self,
        mut buffer: Packet,
        length: usize,
        origin: Origin,
    ) -> Result<(), Reason> {
        let content = &mut buffer[..length];
        let to = match origin {
            Origin::Links => packet::destination(content)?,
            Origin::Tunnel(header, remote) => {
                packet::wrap(content, &header)?;
                remote
            }
        };
        let ecn = packet::ecn_of(content);
        pad(&mut buffer, length, self.mtu());
        let place = self.peers.behind(to).ok_or(Reason::NoPeer)?;
        let peer = self.peers.get(place).ok_or(Reason::NoPeer)?;
        let way = peer.way.ok_or(Reason::NoEndpoint)?;
        match peer.tunn.encapsulate_with_session(buffer) {
            Ok(data) => {
                let outlet = self.outlet.as_mut().ok_or(Reason::NotTaken)?;
                let data: Packet = data.into();
                outlet.push(&data, way, ecn)
            }
            Err(buffer) => self.wait(place, &buffer, way),
        }
    }

    /// Has a packet wait for a session with its peer, which is begun.
    fn wait(&mut self, place: Place, packet: &Packet, way: Way) -> Result<(), Reason> {
        let peer = self.peers.get(place).ok_or(Reason::NoPeer)?;
        let (hello, waits) = if peer.awaited < AWAITED {
            peer.awaited += 1;
            // In memory of its own size, so that it keeps no buffer.
            let packet = Packet::copy_from(&packet[..]);
            (peer.tunn.handle_outgoing_packet(packet, None), Ok(()))
        } else {
            let hello = peer.tunn.format_handshake_initiation(false);
            (hello.map(Into::into), Err(Reason::NotTaken))
        };
        match hello {
            Some(hello) => self.send(place, hello, way).and(waits),
            None => waits,
        }
    }

    /// Lets a message leave.
    pub(super) fn send(&mut self, place: Place, message: WgKind, way: Way) -> Result<(), Reason> {
        self.peers.enter(place, &message);
        let message: Packet = message.into();
        let outlet = self.outlet.as_mut().ok_or(Reason::NotTaken)?;
        outlet.push(&message, way, Ecn::NotCapable)
    }

    /// Lets the packets leave that waited for a session.
    pub(super) fn send_awaited(&mut self, place: Place, way: Way) {
        let mut mtu = MtuWatcher::new(self.mtu());
        let Some(peer) = self.peers.get(place) else {
            return;
        };
        peer.awaited = 0;
        let messages: Vec<_> = peer.tunn.get_queued_packets(&mut mtu).collect();
        for message in messages {
            let sent = self.send(place, message, way);
            self.drops.count_err(sent);
        }
    }
}

/// Fills a packet up to a multiple of sixteen bytes, if the link network takes that (WireGuard's paper, section 5.4.6).
fn pad(buffer: &mut Packet, length: usize, mtu: u16) {
    let padded = length
        .next_multiple_of(16)
        .min(mtu.into())
        .clamp(length, buffer.len());
    buffer[length..padded].fill(0);
    buffer.truncate(padded);
}
