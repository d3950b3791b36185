//! Datagrams of peers, and of others, to the interfaces.

use gotatun::noise::TunnResult;
use gotatun::noise::handshake::parse_handshake_anon;
use gotatun::packet::{Packet, WgHandshakeInit, WgKind};

use super::Switch;
use crate::keys::PublicKey;
use crate::userspace::device::BUFFER;
use crate::userspace::drops::Reason;
use crate::userspace::ecn::Ecn;
use crate::userspace::gate::Verdict;
use crate::userspace::message::{Kind, kind_of};
use crate::userspace::outlet::Way;
use crate::userspace::packet::{To, arrival};
use crate::userspace::peers::Place;

impl Switch {
    /// Takes datagrams of `size` each that came the same way, hands on what they carry, and says how many they were.
    pub(in crate::userspace) fn receive(
        &mut self,
        datagrams: &[u8],
        size: usize,
        back: Way,
        ecn: Ecn,
    ) -> usize {
        if datagrams.is_empty() {
            self.drops.count(Reason::Malformed);
            return 1;
        }
        let datagrams = datagrams.chunks(size.max(1));
        let count = datagrams.len();
        for datagram in datagrams {
            let taken = self.take(datagram, back, ecn);
            self.drops.count_err(taken);
        }
        count
    }

    fn take(&mut self, datagram: &[u8], back: Way, ecn: Ecn) -> Result<(), Reason> {
        let kind = kind_of(datagram).ok_or(Reason::Malformed)?;
        match kind {
            Kind::Data(session) => {
                let place = self.peers.in_session(session).ok_or(Reason::Stranger)?;
                let message = self.buffered(datagram)?;
                self.take_data(place, message, back, ecn)
            }
            Kind::Cookie(session) => {
                let place = self.peers.in_session(session).ok_or(Reason::Stranger)?;
                let message = parsed(Packet::copy_from(datagram))?;
                self.take_message(place, message, back)
            }
            Kind::Response(session) => {
                let place = self.peers.in_session(session).ok_or(Reason::Stranger)?;
                match self.admit(datagram, back)? {
                    Some(message) => self.take_message(place, message, back),
                    None => Ok(()),
                }
            }
            Kind::Initiation => match self.admit(datagram, back)? {
                Some(WgKind::HandshakeInit(message)) => self.take_initiation(message, back),
                Some(_) | None => Ok(()),
            },
        }
    }

    /// Returns a handshake's message, unless its sender is told to show that it receives.
    fn admit(&mut self, datagram: &[u8], back: Way) -> Result<Option<WgKind>, Reason> {
        let identity = self.identity.as_mut().ok_or(Reason::Stranger)?;
        let message = Packet::copy_from(datagram);
        match identity.gate.admit(back.endpoint, message) {
            Verdict::Admitted(message) => Ok(Some(message)),
            Verdict::Answered(cookie) => {
                let outlet = self.outlet.as_mut().ok_or(Reason::NotTaken)?;
                outlet.push(&cookie, back, Ecn::NotCapable).map(|()| None)
            }
            Verdict::Dropped(reason) => Err(reason),
        }
    }

    /// Finds out who begins a handshake.
    fn take_initiation(
        &mut self,
        message: Packet<WgHandshakeInit>,
        back: Way,
    ) -> Result<(), Reason> {
        let identity = self.identity.as_ref().ok_or(Reason::Stranger)?;
        let half = parse_handshake_anon(&identity.secret, &identity.public, &message);
        let half = half.map_err(|_| Reason::Forged)?;
        let place = self.peers.with_key(&PublicKey(half.peer_static_public));
        self.take_message(place.ok_or(Reason::Stranger)?, message.into(), back)
    }

    /// Takes a message of a handshake, and answers it.
    fn take_message(&mut self, place: Place, message: WgKind, back: Way) -> Result<(), Reason> {
        let completes = matches!(message, WgKind::HandshakeResp(_));
        let peer = self.peers.get(place).ok_or(Reason::Stranger)?;
        match peer.tunn.handle_incoming_packet(message) {
            TunnResult::WriteToNetwork(answer) => {
                peer.way = Some(back);
                self.send(place, answer, back)?;
                if completes {
                    self.send_awaited(place, back);
                }
                Ok(())
            }
            TunnResult::Done | TunnResult::WriteToTunnel(_) => Ok(()),
            TunnResult::Err(_) => Err(Reason::Forged),
        }
    }

    fn take_data(
        &mut self,
        place: Place,
        message: WgKind,
        back: Way,
        ecn: Ecn,
    ) -> Result<(), Reason> {
        let peer = self.peers.get(place).ok_or(Reason::Stranger)?;
        let mut packet = match peer.tunn.handle_incoming_packet(message) {
            TunnResult::WriteToTunnel(packet) => packet,
            TunnResult::Done | TunnResult::WriteToNetwork(_) => return Ok(()),
            TunnResult::Err(_) => return Err(Reason::Forged),
        };
        peer.way = Some(back);
        if peer.awaited > 0 {
            self.send_awaited(place, back);
        }
        if packet.is_empty() {
            return Ok(());
        }
        let arrival = arrival(&mut packet, ecn)?;
        if !self.peers.may_send(place, arrival.source) {
            return Err(Reason::ForeignSource);
        }
        let device = match arrival.to {
            To::Links => &self.links.as_ref().ok_or(Reason::NotTaken)?.0,
            To::Tunnel(local) => self
                .ends
                .get(&(local, arrival.source))
                .ok_or(Reason::NoTunnel)?,
        };
        self.delivery.push(device, &packet[arrival.range])
    }

    /// Copies a datagram into a buffer of its own, in which it is decrypted.
    fn buffered(&self, datagram: &[u8]) -> Result<WgKind, Reason> {
        if datagram.len() > BUFFER {
            return Err(Reason::TooLarge);
        }
        let mut packet = self.pool.get();
        packet.truncate(datagram.len());
        packet.copy_from_slice(datagram);
        parsed(packet)
    }
}

fn parsed(packet: Packet) -> Result<WgKind, Reason> {
    packet.try_into_wg().map_err(|_| Reason::Malformed)
}
