//! How many handshakes are looked at, so that a flood of them costs neither memory nor the time of others.
//!
//! A handshake costs curves, so few are taken as they come. From then on a sender must show that it receives at its
//! address (a cookie, WireGuard's paper, section 5.3), and beyond a number none is looked at. Nobody who can receive has
//! more than a share.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use gotatun::noise::TunnResult;
use gotatun::noise::rate_limiter::RateLimiter;
use gotatun::packet::{Packet, WgKind};
use gotatun::x25519::PublicKey;

use super::drops::Reason;

/// How many of one address are taken in a second without a cookie.
const OF_ONE_ADDRESS: u64 = 20;
/// How many of one address, or of one network of IPv6, are taken in a quarter of a second at all.
const SHARE: u32 = 5;
/// How many are taken in a quarter of a second as they come.
const CALM: u32 = 32;
/// How many are taken then in all.
const TAKEN: u32 = 128;
/// How many are looked at then: each address costs some bytes until the next second.
const SEEN: u32 = 1024;

/// Counts handshakes.
pub(super) struct Gate {
    calm: Arc<RateLimiter>,
    strict: Arc<RateLimiter>,
    seen: u32,
    taken: u32,
    shares: BTreeMap<IpAddr, u32>,
}

/// What becomes of a handshake.
pub(super) enum Verdict {
    /// It is looked at.
    Admitted(WgKind),
    /// Its sender is told to show that it receives.
    Answered(Packet),
    /// Nothing.
    Dropped(Reason),
}

impl Gate {
    /// Makes the gate of a node's key.
    pub(super) fn new(key: &PublicKey) -> Self {
        Self {
            calm: Arc::new(RateLimiter::new(key, OF_ONE_ADDRESS)),
            strict: Arc::new(RateLimiter::new(key, 0)),
            seen: 0,
            taken: 0,
            shares: BTreeMap::new(),
        }
    }

    /// Returns what counts what is taken as it comes.
    pub(super) fn limiter(&self) -> Arc<RateLimiter> {
        Arc::clone(&self.calm)
    }

    /// Begins a new quarter of a second.
    pub(super) fn tick(&mut self) {
        (self.seen, self.taken) = (0, 0);
        self.shares.clear();
        self.calm.try_reset_count();
        self.strict.try_reset_count();
    }

    /// Judges a handshake's message, whose length must be right.
    pub(super) fn admit(&mut self, from: SocketAddr, message: Packet) -> Verdict {
        self.seen += 1;
        if self.seen > SEEN || self.taken >= TAKEN {
            return Verdict::Dropped(Reason::Flood);
        }
        let limiter = if self.taken < CALM {
            &self.calm
        } else {
            &self.strict
        };
        match limiter.verify_packet(from, message) {
            Ok(message) => {
                let share = self.shares.entry(network_of(from.ip())).or_default();
                if *share >= SHARE {
                    return Verdict::Dropped(Reason::Flood);
                }
                *share += 1;
                self.taken += 1;
                Verdict::Admitted(message)
            }
            Err(TunnResult::WriteToNetwork(cookie)) => Verdict::Answered(cookie.into()),
            Err(TunnResult::Done | TunnResult::Err(_) | TunnResult::WriteToTunnel(_)) => {
                Verdict::Dropped(Reason::Forged)
            }
        }
    }
}

/// Returns what one sender can receive at: an address, or all of an IPv6 network.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use gotatun::noise::Tunn;
    use gotatun::noise::index_table::IndexTable;
    use gotatun::x25519::StaticSecret;

    use super::*;

    /// A gate, and one who makes handshakes for it.
    fn gate_and_caller() -> (Gate, Tunn) {
        let (own, other) = (StaticSecret::from([1; 32]), StaticSecret::from([2; 32]));
        let gate = Gate::new(&PublicKey::from(&own));
        let others = Gate::new(&PublicKey::from(&other)).limiter();
        let to = PublicKey::from(&own);
        (
            gate,
            Tunn::new(other, to, None, None, IndexTable::from_os_rng(), others),
        )
    }

    fn hello(caller: &mut Tunn) -> Packet {
        caller.format_handshake_initiation(true).unwrap().into()
    }

    fn address(number: u32) -> SocketAddr {
        let bits = (0xfd12 << 112) | u128::from(number) << 64;
        SocketAddr::from((Ipv6Addr::from(bits), 6326))
    }

    #[test]
    fn a_flood_from_everywhere_must_show_that_it_receives() {
        let (mut gate, mut caller) = gate_and_caller();
        let message = hello(&mut caller);
        let (mut admitted, mut answered, mut dropped) = (0, 0, 0);
        for number in 0..2 * SEEN {
            match gate.admit(address(number), Packet::copy_from(&message[..])) {
                Verdict::Admitted(_) => admitted += 1,
                Verdict::Answered(_) => answered += 1,
                Verdict::Dropped(reason) => {
                    assert_eq!(reason, Reason::Flood);
                    dropped += 1;
                }
            }
        }
        assert_eq!((admitted, answered, dropped), (CALM, SEEN - CALM, SEEN));
        gate.tick();
        assert!(matches!(
            gate.admit(address(1), hello(&mut caller)),
            Verdict::Admitted(_)
        ));
    }

    #[test]
    fn who_shows_the_cookie_is_taken_in_a_flood() {
        let (mut gate, mut caller) = gate_and_caller();
        let mut answer = None;
        for number in 0..=CALM {
            answer = Some(gate.admit(address(number), hello(&mut caller)));
        }
        let Some(Verdict::Answered(cookie)) = answer else {
            panic!("no cookie");
        };
        caller.handle_incoming_packet(cookie.try_into_wg().unwrap());
        assert!(matches!(
            gate.admit(address(CALM), hello(&mut caller)),
            Verdict::Admitted(_)
        ));
        assert!(matches!(
            gate.admit(address(CALM + 1), hello(&mut caller)),
            Verdict::Answered(_)
        ));
    }

    #[test]
    fn one_network_has_no_more_than_its_share() {
        let (mut gate, mut caller) = gate_and_caller();
        let message = hello(&mut caller);
        let mut admitted = |host: u16| {
            let from = Ipv6Addr::new(0xfd12, 0, 0, 0, 0, 0, 0, host);
            let verdict = gate.admit((from, 6326).into(), Packet::copy_from(&message[..]));
            matches!(verdict, Verdict::Admitted(_))
        };
        assert_eq!((0..100).filter(|host| admitted(*host)).count(), 5);
        let verdict = gate.admit(address(1), Packet::copy_from(&message[..]));
        assert!(
            matches!(verdict, Verdict::Admitted(_)),
            "others have theirs"
        );
        gate.tick();
        let verdict = gate.admit(address(0), Packet::copy_from(&message[..]));
        assert!(matches!(verdict, Verdict::Admitted(_)), "it has another");
    }

    #[test]
    fn who_does_not_know_the_key_gets_no_answer() {
        let (mut gate, mut caller) = gate_and_caller();
        let mut message = hello(&mut caller);
        message[120] ^= 1;
        assert!(matches!(
            gate.admit(address(1), message),
            Verdict::Dropped(Reason::Forged)
        ));
    }
}
