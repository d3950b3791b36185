//! What becomes of a node whose UDP is blocked, second by second.

use super::*;

const HOST: &str = "192.0.2.1:6326";
const NEAR: &str = "127.0.0.1:40000";

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

/// A node, and what is around it.
struct World {
    detour: Detour,
    begun: Instant,
    now: Instant,
    seen: Seen,
}

impl World {
    /// A node that has just asked the first of the others.
    fn new() -> Self {
        let now = Instant::now() + Duration::from_secs(1000);
        let seen = Seen {
            asks: true,
            any_up: false,
            is_reached: false,
            host_up: false,
            endpoint: Some(at(HOST)),
            near: None,
        };
        Self {
            detour: Detour::default(),
            begun: now,
            now,
            seen,
        }
    }

    /// Does what is planned, at once: WireGuard sends where it shall, and a carrier is connected if it shall be there.
    fn step(&mut self) -> Plan {
        let plan = self.detour.step(&self.seen, self.now);
        if let Some(to) = plan.to.filter(|_| plan.moves) {
            self.seen.endpoint = Some(to);
        } else if plan.moves {
            self.seen.endpoint = Some(at(HOST));
        }
        let connected = Near {
            at: at(NEAR),
            is_connected: true,
            answered: None,
        };
        self.seen.near = plan.carrier.then(|| self.seen.near.unwrap_or(connected));
        plan
    }

    /// Lives until a plan is as asked for; returns it, and after how many seconds of all it came.
    fn until(&mut self, what: impl Fn(&Plan) -> bool) -> (Plan, u64) {
        for _ in 0..4000 {
            let plan = self.step();
            if what(&plan) {
                return (plan, (self.now - self.begun).as_secs());
            }
            self.now += Duration::from_secs(1);
        }
        panic!("that never comes: {:?}", self.detour);
    }

    fn tunnel(&mut self, is_up: bool) {
        (self.seen.any_up, self.seen.is_reached) = (is_up, is_up);
        self.seen.host_up = is_up;
    }

    /// A node whose tunnel goes by the carrier.
    fn carried() -> Self {
        let mut world = Self::new();
        world.until(|plan| plan.to == Some(at(NEAR)));
        world.tunnel(true);
        world
    }

    fn answer(&mut self, from: &str) {
        let near = self.seen.near.as_mut().unwrap();
        near.answered = Some(at(from));
    }
}

#[test]
fn the_carrier_comes_after_udp_was_tried_in_vain() {
    let mut world = World::new();
    let (plan, after) = world.until(|plan| plan.seek);
    assert_eq!((after, plan.carrier, plan.to), (4, false, None));
    let (plan, after) = world.until(|plan| plan.carrier);
    assert_eq!((after, plan.to), (12, None), "there is no carrier yet");
    let (plan, after) = world.until(|plan| plan.to.is_some());
    assert_eq!((after, plan.to), (12, Some(at(NEAR))));
    assert!(plan.moves && plan.seek && plan.in_need);
}

#[test]
fn who_reaches_it_over_others_or_has_asked_nobody_needs_no_carrier() {
    for (asks, is_reached) in [(true, true), (false, false), (false, true)] {
        let mut world = World::new();
        (world.seen.asks, world.seen.is_reached) = (asks, is_reached);
        for _ in 0..100 {
            assert_eq!(world.step(), Plan::default());
            world.now += Duration::from_secs(1);
        }
    }
}

#[test]
fn a_carrier_that_does_not_connect_leaves_udp_as_it_is() {
    let mut world = World::new();
    for _ in 0..100 {
        if let Some(near) = &mut world.seen.near {
            near.is_connected = false;
        }
        assert_eq!(world.step().to, None);
        world.now += Duration::from_secs(1);
    }
    assert!(world.step().carrier);
}

#[test]
fn the_two_ways_are_tried_in_turn() {
    let mut world = World::new();
    let mut ways = Vec::new();
    for second in 0..130 {
        let is_carrier = world.step().to.is_some();
        if ways.last().is_none_or(|(_, last)| *last != is_carrier) {
            ways.push((second, is_carrier));
        }
        world.now += Duration::from_secs(1);
    }
    let carried = [13, 37, 69, 117].map(|second| (second, true));
    let not = [0, 28, 52, 84].map(|second| (second, false));
    let mut expected = [carried, not].concat();
    expected.sort_unstable();
    assert_eq!(ways, expected);
}

#[test]
fn what_works_by_the_carrier_stays_there_while_udp_is_tried() {
    let mut world = World::carried();
    let plan = world.step();
    assert!(plan.carrier && !plan.moves && !plan.seek && !plan.in_need);
    let (plan, first) = world.until(|plan| plan.probe);
    assert_eq!((plan.to, plan.moves), (Some(at(NEAR)), false));
    world.now += Duration::from_secs(1);
    let (_, second) = world.until(|plan| plan.probe);
    assert_eq!((first - 13, second - first), (30, 180));
}

#[test]
fn udp_that_answers_is_used_and_the_carrier_goes() {
    let mut world = World::carried();
    world.until(|plan| plan.probe);
    world.answer(HOST);
    let plan = world.step();
    assert_eq!(plan.to, Some(at(HOST)));
    assert!(plan.moves && plan.hush && plan.carrier);
    let plan = world.step();
    assert!(!plan.moves && !plan.hush && plan.carrier, "that was once");
    let (_, _) = world.until(|plan| !plan.carrier);
    for _ in 0..100 {
        world.now += Duration::from_secs(1);
        assert_eq!(world.step(), Plan::default());
    }
}

#[test]
fn udp_that_answers_and_does_not_carry_is_left_for_long() {
    let mut world = World::carried();
    let (_, probed) = world.until(|plan| plan.probe);
    world.answer(HOST);
    world.step();
    // A datagram came by the carrier, and WireGuard went back to where it came from.
    world.seen.endpoint = Some(at(NEAR));
    world.seen.near.as_mut().unwrap().answered = None;
    let (_, again) = world.until(|plan| plan.to == Some(at(NEAR)));
    assert_eq!(again - probed, 4);
    let (_, next) = world.until(|plan| plan.probe);
    assert_eq!(next - again, 900);
}

#[test]
fn udp_that_answers_and_is_lost_is_left_for_the_carrier() {
    let mut world = World::carried();
    world.until(|plan| plan.probe);
    world.answer(HOST);
    world.step();
    world.tunnel(false);
    world.seen.near.as_mut().unwrap().answered = None;
    let (plan, _) = world.until(|plan| plan.to == Some(at(NEAR)));
    assert!(plan.moves && plan.in_need);
}

#[test]
fn who_is_called_by_udp_stays_there() {
    let mut world = World::carried();
    world.now += SETTLED;
    world.seen.endpoint = Some(at("198.51.100.7:6326"));
    assert_eq!(world.step(), Plan::default());
}

#[test]
fn a_carrier_that_nobody_uses_goes() {
    let mut world = World::carried();
    world.step();
    world.seen.host_up = false;
    let begun = world.now;
    world.until(|plan| !plan.carrier);
    assert_eq!(world.now - begun, LINGER);
}

#[test]
fn a_network_that_begins_to_block_udp_is_left_for_the_carrier() {
    let mut world = World::new();
    world.tunnel(true);
    world.step();
    world.tunnel(false);
    world.begun = world.now;
    let (_, after) = world.until(|plan| plan.to == Some(at(NEAR)));
    assert_eq!(after, 13);
}

#[test]
fn an_island_looks_for_the_carrier_later() {
    let mut world = World::new();
    world.seen.any_up = true;
    let (_, sought) = world.until(|plan| plan.seek);
    let (plan, wanted) = world.until(|plan| plan.carrier);
    assert!(!plan.seek, "it was asked for long enough");
    let (plan, _) = world.until(|plan| plan.to == Some(at(NEAR)));
    assert_eq!((sought, wanted, plan.in_need), (20, 60, true));
}

#[test]
fn a_carrier_in_vain_rests_longer_and_longer() {
    for (any_up, longest) in [(false, 60), (true, 600)] {
        let mut world = World::new();
        world.seen.any_up = any_up;
        let mut rest = 0;
        for _ in 0..10 {
            world.until(|plan| plan.to.is_some());
            let (_, begun) = world.until(|plan| !plan.carrier);
            let (_, ended) = world.until(|plan| plan.carrier);
            assert!(ended - begun >= rest);
            rest = ended - begun;
        }
        assert_eq!(rest, longest);
    }
}

#[test]
fn who_was_carried_before_a_restart_is_carried_at_once() {
    let mut world = World::new();
    world.seen.endpoint = None;
    assert!(!world.step().carrier, "nothing is known yet");
    world.seen.endpoint = Some(at("127.0.0.1:39999"));
    assert!(world.step().carrier);
    let (plan, after) = world.until(|plan| plan.to == Some(at(NEAR)));
    assert_eq!((after, plan.moves), (0, true));
}

#[test]
fn where_a_carrier_was_wireguard_sends_by_udp_again() {
    let mut world = World::carried();
    world.step();
    world.seen.host_up = false;
    let (plan, _) = world.until(|plan| !plan.carrier);
    assert!(plan.moves);
    assert_eq!(world.seen.endpoint, Some(at(HOST)));
    assert!(!world.step().moves);
}
