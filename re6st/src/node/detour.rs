//! When the datagrams to the registry's computer travel by the carrier, in TLS, and when by UDP.
//!
//! Pure: time and what was seen come in, what shall be done comes out.
//!
//! A node that has no way to the registry's computer, not even over others, looks for it by UDP and at all its addresses; when that is in vain,
//! too, by the carrier, and then by the two in turn. What works by the carrier goes on while UDP is tried every few minutes: some datagrams are
//! sent both ways, of which WireGuard takes the first and drops the other. Only when one has come back by UDP is the peer moved there. It would
//! move back at the first datagram that still comes by the carrier, so that is kept silent for a moment; if nothing is heard by UDP after that,
//! it does move back, by itself.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

/// How long a node that reaches nobody is patient before it takes the carrier.
const ALONE: Duration = Duration::from_secs(12);
/// How long one that reaches others is, who may have no way either: they may be behind the same wall, or they may not have told their routes yet.
const AMONG_OTHERS: Duration = Duration::from_secs(60);
/// After which part of that it asks for the registry's computer.
const SEEK: u32 = 3;
/// How long the carrier may be in vain: WireGuard repeats its first packet every five seconds.
const TURN: Duration = Duration::from_secs(15);
/// How long it rests then: longer each time, for the computer may be off.
const REST: Duration = Duration::from_secs(8);
const LONGEST_REST_ALONE: Duration = Duration::from_secs(60);
const LONGEST_REST: Duration = Duration::from_secs(600);
/// How long the carrier is kept where there is another way to the registry's computer, and none by this.
const LINGER: Duration = Duration::from_secs(60);
/// When UDP is tried while the carrier works: at first, after that, and after it answered and could not be used.
const FIRST_PROBE: Duration = Duration::from_secs(30);
const PROBES: Duration = Duration::from_secs(180);
const PROBES_AFTER_FAILURE: Duration = Duration::from_secs(900);
/// How long after a change of ways what is seen is of the new one.
const SETTLED: Duration = Duration::from_secs(4);

/// The way to the registry's computer.
#[derive(Clone, Debug, Default)]
pub(super) struct Detour {
    way: Way,
    /// Since when there is no way to it.
    lost: Option<Instant>,
    /// How often the carrier was in vain since it last worked.
    in_vain: u32,
    /// Whether the carrier was used when this began; unknown until it is known where WireGuard sends.
    was_carried: Option<bool>,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Udp {
        /// Until when the carrier is not taken again.
        rests: Option<Instant>,
    },
    Carrier {
        since: Instant,
        /// When there was a tunnel that works.
        worked: Instant,
        probe_at: Instant,
    },
    /// UDP has answered.
    Back { to: SocketAddr, since: Instant },
}

impl Default for Way {
    fn default() -> Self {
        Self::Udp { rests: None }
    }
}

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Whether somebody is asked for a tunnel.
    pub(super) asks: bool,
    /// Whether a tunnel to anybody works.
    pub(super) any_up: bool,
    /// Whether there is a way to the registry's computer, and whether it is a tunnel.
    pub(super) is_reached: bool,
    pub(super) host_up: bool,
    /// Where WireGuard sends what is for it.
    pub(super) endpoint: Option<SocketAddr>,
    /// The near end of the carrier, if there is one.
    pub(super) near: Option<Near>,
}

impl Seen {
    /// Whether WireGuard sends to a near end on this machine, there or gone.
    fn is_carried(&self) -> bool {
        self.endpoint.is_some_and(|endpoint| !is_udp(endpoint))
    }
}

/// The near end of a carrier.
#[derive(Clone, Copy, Debug)]
pub(super) struct Near {
    /// Where it takes datagrams.
    pub(super) at: SocketAddr,
    pub(super) is_connected: bool,
    /// From where UDP has answered the last probe.
    pub(super) answered: Option<SocketAddr>,
}

/// What shall be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// There shall be a carrier.
    pub(super) carrier: bool,
    /// The registry's computer shall be asked for a tunnel before all others.
    pub(super) seek: bool,
    /// It is told that nobody else is reached.
    pub(super) in_need: bool,
    /// Where its datagrams go; where it is known to be, if nothing is said.
    pub(super) to: Option<SocketAddr>,
    /// They go there although WireGuard may have heard it elsewhere.
    pub(super) moves: bool,
    /// UDP shall be tried beside the carrier.
    pub(super) probe: bool,
    /// The carrier shall deliver nothing for a moment.
    pub(super) hush: bool,
}

impl Detour {
    /// Returns what shall be done after what was seen.
    pub(super) fn step(&mut self, seen: &Seen, now: Instant) -> Plan {
        if seen.is_reached {
            self.lost = None;
        } else if seen.asks || seen.any_up {
            self.lost.get_or_insert(now);
        }
        if self.was_carried.is_none() && seen.endpoint.is_some() {
            self.was_carried = Some(seen.is_carried());
        }
        match self.way {
            Way::Udp { rests } => self.by_udp(rests, seen, now),
            Way::Carrier { .. } => self.by_carrier(seen, now),
            Way::Back { to, since } => self.back(to, since, seen, now),
        }
    }

    fn by_udp(&mut self, rests: Option<Instant>, seen: &Seen, now: Instant) -> Plan {
        let lost_for = self.lost.map(|since| now - since);
        let patience = if seen.any_up { AMONG_OTHERS } else { ALONE };
        let is_over = |patience| lost_for.is_some_and(|lost_for| lost_for >= patience);
        let is_rested = rests.is_none_or(|until| now >= until);
        // Who was carried before a restart need not find out again why.
        let goes_on = self.was_carried == Some(true) && lost_for.is_some();
        let carrier = goes_on || is_over(patience) && is_rested;
        if carrier && seen.near.is_some_and(|near| near.is_connected) {
            return self.take_carrier(seen, now, FIRST_PROBE);
        }
        Plan {
            carrier,
            // Among others it may be off for days, and everybody would ask.
            seek: is_over(patience / SEEK) && !(seen.any_up && is_over(patience)),
            moves: seen.is_carried(),
            ..Plan::default()
        }
    }

    fn take_carrier(&mut self, seen: &Seen, now: Instant, probe_in: Duration) -> Plan {
        self.was_carried = Some(false);
        self.way = Way::Carrier {
            since: now,
            worked: now,
            probe_at: now + probe_in,
        };
        self.by_carrier(seen, now)
    }

    fn by_carrier(&mut self, seen: &Seen, now: Instant) -> Plan {
        let (
            Way::Carrier {
                since,
                worked,
                probe_at,
            },
            Some(near),
        ) = (&mut self.way, seen.near)
        else {
            return self.take_udp(None, seen, now);
        };
        let is_settled = now - *since >= SETTLED;
        if seen.host_up {
            *worked = now;
            self.in_vain = 0;
            if is_settled && seen.endpoint.is_some_and(is_udp) {
                // It has called us.
                return self.take_udp(None, seen, now);
            }
            if let Some(to) = near.answered {
                self.way = Way::Back { to, since: now };
                return Plan {
                    carrier: true,
                    to: Some(to),
                    moves: true,
                    hush: true,
                    ..Plan::default()
                };
            }
        }
        let silence = now - *worked;
        if seen.is_reached && silence >= LINGER {
            return self.take_udp(None, seen, now);
        }
        if !seen.is_reached && silence >= TURN {
            let rest = self.rest(seen.any_up);
            return self.take_udp(Some(now + rest), seen, now);
        }
        let probe = seen.host_up && now >= *probe_at;
        if probe {
            *probe_at = now + PROBES;
        }
        Plan {
            carrier: true,
            seek: !seen.is_reached,
            in_need: !seen.is_reached,
            to: Some(near.at),
            moves: !seen.host_up,
            probe,
            hush: false,
        }
    }

    /// Returns how long the carrier rests after it was in vain once more.
    fn rest(&mut self, any_up: bool) -> Duration {
        let longest = if any_up {
            LONGEST_REST
        } else {
            LONGEST_REST_ALONE
        };
        let rest = REST * (1 << self.in_vain.min(16));
        self.in_vain += 1;
        rest.min(longest)
    }

    /// Looks for it by UDP, without a carrier; the next one has a connection of its own.
    fn take_udp(&mut self, rests: Option<Instant>, seen: &Seen, now: Instant) -> Plan {
        self.way = Way::Udp { rests };
        let plan = self.by_udp(
            rests,
            &Seen {
                near: None,
                ..*seen
            },
            now,
        );
        Plan {
            carrier: false,
            ..plan
        }
    }

    fn back(&mut self, to: SocketAddr, since: Instant, seen: &Seen, now: Instant) -> Plan {
        if now - since < SETTLED {
            return Plan {
                carrier: true,
                to: Some(to),
                ..Plan::default()
            };
        }
        if seen.host_up && seen.endpoint.is_some_and(is_udp) {
            return self.take_udp(None, seen, now);
        }
        self.take_carrier(seen, now, PROBES_AFTER_FAILURE)
    }
}

/// Whether datagrams that go there leave the machine: the ends of carriers are on it, and no other member is.
pub(super) fn is_udp(endpoint: SocketAddr) -> bool {
    !endpoint.ip().is_loopback()
}

#[cfg(test)]
mod tests;
