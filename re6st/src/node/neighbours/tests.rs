//! Tunnels live and die in a time that is a number: datagrams between nodes take a while, get lost, or stop.

use std::collections::BTreeSet;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

/// How long a datagram is on its way.
const WAY: Duration = Duration::from_millis(20);

/// Some nodes that know of each other, and what is between them.
struct World {
    now: Moment,
    nodes: BTreeMap<Member, Neighbours>,
    under_way: VecDeque<(Moment, Member, Member, Message)>,
    /// Between whom nothing passes.
    cut: BTreeSet<(Member, Member)>,
    /// How many datagrams of a hundred are lost.
    loss: u32,
    chance: ChaCha8Rng,
    sent: usize,
    settings: Settings,
}

impl World {
    fn new(count: u32) -> Self {
        Self::with(count, Settings::default())
    }

    fn with(count: u32, settings: Settings) -> Self {
        let mut world = Self {
            now: Moment::ZERO,
            nodes: BTreeMap::new(),
            under_way: VecDeque::new(),
            cut: BTreeSet::new(),
            loss: 0,
            chance: ChaCha8Rng::seed_from_u64(7),
            sent: 0,
            settings,
        };
        for number in 1..=count {
            world.start(number);
        }
        world
    }

    /// Starts a node, which remembers nothing.
    fn start(&mut self, number: u32) {
        let me = Member(number);
        let node = Neighbours::new(me, self.settings, number.into(), self.now);
        self.nodes.insert(me, node);
        let all: Arc<[Member]> = self.nodes.keys().copied().collect();
        for node in self.nodes.values_mut() {
            node.know(self.now, Arc::clone(&all), Arc::from([]));
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.post();
            let timers = self.nodes.values().map(Neighbours::poll_timeout).min();
            let arrival = self.under_way.front().map(|(at, ..)| *at);
            let next = timers.into_iter().chain(arrival).min().unwrap_or(end);
            self.now = next.max(self.now).min(end);
            if next > end {
                return;
            }
            while let Some((at, from, to, message)) = self.under_way.front().copied()
                && at <= self.now
            {
                self.under_way.pop_front();
                if let Some(node) = self.nodes.get_mut(&to) {
                    // As it is on the wire.
                    let message = Message::decode(&message.encode()).unwrap();
                    node.receive(self.now, from, message);
                }
            }
            for node in self.nodes.values_mut() {
                if node.poll_timeout() <= self.now {
                    node.handle_timeout(self.now);
                }
            }
        }
    }

    fn post(&mut self) {
        for (from, node) in &mut self.nodes {
            while let Some((to, message)) = node.poll_send() {
                self.sent += 1;
                let is_lost = self.chance.random_range(0..100) < self.loss;
                if !is_lost && !self.cut.contains(&(*from, to)) {
                    let arrival = self.now + WAY;
                    self.under_way.push_back((arrival, *from, to, message));
                }
            }
        }
    }

    fn cut(&mut self, one: u32, other: u32) {
        self.cut.insert((Member(one), Member(other)));
        self.cut.insert((Member(other), Member(one)));
    }

    /// Returns to whom a node has a tunnel that carries something.
    fn up(&self, number: u32) -> Vec<u32> {
        let tunnels = self.nodes[&Member(number)].tunnels(self.now);
        let up = tunnels.filter(|(_, tunnel)| tunnel.is_up);
        up.map(|(peer, _)| peer.0).collect()
    }

    fn tunnel(&self, number: u32, to: u32) -> Tunnel {
        let mut tunnels = self.nodes[&Member(number)].tunnels(self.now);
        tunnels.find(|(peer, _)| peer.0 == to).unwrap().1
    }
}

#[test]
fn all_of_a_few_nodes_are_neighbours_within_a_second_or_two() {
    let mut world = World::new(5);
    world.run(Duration::from_secs(2));
    for number in 1..=5 {
        let others: Vec<u32> = (1..=5).filter(|it| *it != number).collect();
        assert_eq!(world.up(number), others);
    }
    world.run(Duration::from_secs(2));
    let took = world.tunnel(1, 2).round_trip.unwrap();
    assert_eq!(
        took,
        2 * WAY,
        "there and back, without what it was kept for"
    );
}

#[test]
fn a_quiet_tunnel_beats_twice_a_second() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(5));
    let before = world.sent;
    world.run(Duration::from_secs(10));
    let each = (world.sent - before) / 2;
    assert!((20..=22).contains(&each), "{each}");
}

#[test]
fn a_dead_way_is_noticed_in_a_second_and_a_half_by_both() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    world.cut(1, 2);
    world.run(Duration::from_millis(1_000));
    assert_eq!(world.up(1), [2, 3], "a beat may be late");
    world.run(Duration::from_millis(500));
    assert_eq!((world.up(1), world.up(2)), (vec![3], vec![3]));
    assert_eq!(world.up(3), [1, 2]);
}

#[test]
fn a_way_that_is_dead_in_one_direction_is_dead() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(5));
    world.cut.insert((Member(1), Member(2)));
    world.run(Duration::from_millis(1_500));
    assert_eq!((world.up(1), world.up(2)), (vec![], vec![]));
}

#[test]
fn loss_alone_takes_no_tunnel_down() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(5));
    world.loss = 10;
    for minute in 0..30 {
        world.run(Duration::from_secs(60));
        assert!(
            world.tunnel(1, 2).age >= Duration::from_secs(60) * minute,
            "it is not another one, in minute {minute}"
        );
    }
}

#[test]
fn the_only_other_one_is_looked_for_until_it_is_there_again() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(5));
    world.cut(1, 2);
    world.run(Duration::from_secs(3600));
    assert!(world.up(1).is_empty());
    world.cut.clear();
    world.run(Duration::from_secs(10));
    assert_eq!((world.up(1), world.up(2)), (vec![2], vec![1]));
}

#[test]
fn who_begins_anew_is_a_neighbour_again_at_once() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    world.start(2);
    world.run(Duration::from_secs(2));
    for number in 1..=3 {
        assert_eq!(world.up(number).len(), 2, "{number}");
    }
}

#[test]
fn who_is_no_member_any_more_has_no_tunnel() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(5));
    let known: Arc<[Member]> = Arc::from([Member(1), Member(3)]);
    let first = world.nodes.get_mut(&Member(1)).unwrap();
    first.has_moved();
    first.know(world.now, known, Arc::from([]));
    assert!(first.has_moved());
    assert_eq!(world.up(1), [3]);
}

#[test]
fn a_tunnel_is_drained_at_both_ends_and_closed_when_neither_uses_it() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(5));
    let peer = Member(2);
    let first = world.nodes.get_mut(&Member(1)).unwrap();
    first.drain(world.now, peer, true);
    world.run(Duration::from_secs(1));
    let ways = |world: &World| [world.tunnel(1, 2).way, world.tunnel(2, 1).way];
    assert_eq!(ways(&world), [Way::Both; 2]);
    for node in world.nodes.values_mut() {
        node.has_moved();
    }
    world.run(Duration::from_secs(8));
    assert_eq!(ways(&world), [Way::Spare; 2]);
    assert!(world.nodes.values_mut().all(Neighbours::has_moved));
    let weigh = |world: &mut World, number: u32, count: u64| {
        let uses = BTreeMap::from([(Member(3 - number), count)]);
        let node = world.nodes.get_mut(&Member(number)).unwrap();
        node.weigh(world.now, uses);
        node.links
            .get(&Member(3 - number))
            .is_some_and(|link| link.unused)
    };
    assert!(!weigh(&mut world, 1, 1), "somebody goes that way");
    assert!(weigh(&mut world, 2, 0));
    world.run(Duration::from_secs(1));
    assert!(weigh(&mut world, 1, 0));
    let link = world.nodes[&Member(1)].links[&peer];
    assert!(link.is_unused(), "both have said so");
    let first = world.nodes.get_mut(&Member(1)).unwrap();
    first.drain(world.now, peer, false);
    world.run(Duration::from_secs(1));
    assert_eq!(ways(&world), [Way::Both; 2], "minds may be changed");
    world.run(Duration::from_secs(8));
    assert_eq!(ways(&world), [Way::Main; 2]);
}

#[test]
fn the_least_used_tunnel_is_replaced_after_some_minutes_and_nobody_is_alone() {
    let settings = Settings {
        own: 3,
        wanted: 4,
        in_all: 6,
        refresh: Duration::from_secs(60),
        ..Settings::default()
    };
    let mut world = World::with(12, settings);
    world.run(Duration::from_secs(10));
    let before: Vec<_> = (1..=12).map(|number| world.up(number)).collect();
    let mut drained = 0;
    for _ in 0..300 {
        world.run(Duration::from_secs(1));
        for node in world.nodes.values_mut() {
            drained += usize::from(node.is_draining());
            // All have other ways at once, as with Babel in a dense graph.
            let links = node.links.iter();
            let uses = links.map(|(peer, link)| (*peer, u64::from(!link.is_drained())));
            let uses = uses.collect();
            node.weigh(world.now, uses);
        }
        assert!((1..=12).all(|number| !world.up(number).is_empty()));
    }
    assert!(drained > 0, "some were drained");
    let after: Vec<_> = (1..=12).map(|number| world.up(number)).collect();
    assert_ne!(after, before, "some were replaced");
}

#[test]
fn the_same_seeds_do_the_same() {
    let story = || {
        let mut world = World::new(12);
        world.loss = 5;
        world.run(Duration::from_secs(20));
        (world.sent, world.up(1), world.up(7))
    };
    assert_eq!(story(), story());
}

#[test]
fn nodes_learn_at_which_address_others_see_them() {
    let mut world = World::new(4);
    world.run(Duration::from_secs(3));
    let outside: SocketAddr = "198.51.100.9:41000".parse().unwrap();
    let other: SocketAddr = "198.51.100.9:41001".parse().unwrap();
    let v6: SocketAddr = "[2001:db8::9]:6326".parse().unwrap();
    for (number, at) in [(2, outside), (3, outside), (4, other)] {
        let node = world.nodes.get_mut(&Member(number)).unwrap();
        node.see(world.now, &BTreeMap::from([(Member(1), at)]));
    }
    world.run(Duration::from_secs(1));
    assert_eq!(world.nodes[&Member(1)].seen_at(), [outside], "as most say");
    let node = world.nodes.get_mut(&Member(4)).unwrap();
    node.see(world.now, &BTreeMap::from([(Member(1), v6)]));
    world.run(Duration::from_secs(1));
    assert_eq!(world.nodes[&Member(1)].seen_at(), [outside, v6]);

    let before = world.sent;
    let node = world.nodes.get_mut(&Member(4)).unwrap();
    node.see(world.now, &BTreeMap::from([(Member(1), v6)]));
    world.post();
    assert_eq!(world.sent, before, "what is told is not told again at once");
    let first = world.nodes.get_mut(&Member(1)).unwrap();
    let nonsense = "0.0.0.0:9".parse().unwrap();
    first.receive(world.now, Member(2), Message::Seen(nonsense));
    assert_eq!(first.seen_at(), [outside, v6]);
}

#[test]
fn who_calls_is_greeted_once_if_it_is_a_member() {
    let asks_nobody = Settings {
        own: 0,
        ..Settings::default()
    };
    let mut world = World::with(2, asks_nobody);
    world.run(Duration::from_secs(1));
    let now = world.now;
    let first = world.nodes.get_mut(&Member(1)).unwrap();
    first.has_moved();
    first.hear_call(now, Member(9));
    assert_eq!(first.poll_send(), None, "a stranger");
    first.hear_call(now, Member(2));
    first.hear_call(now, Member(2));
    assert_eq!(first.poll_send(), Some((Member(2), Message::Greet)));
    assert_eq!(first.poll_send(), None, "once is enough");
    assert!(first.has_moved(), "it is looked for");
    assert_eq!(first.wanted().collect::<Vec<_>>(), [Member(2)]);
    world.run(Duration::from_secs(60));
    let first = &world.nodes[&Member(1)];
    assert_eq!(first.wanted().next(), None, "for a while");
}

#[test]
fn who_reaches_one_only_has_a_tunnel_to_it_though_that_has_no_room() {
    let settings = Settings {
        own: 3,
        wanted: 3,
        in_all: 3,
        ..Settings::default()
    };
    let mut world = World::with(8, settings);
    (2..=7).for_each(|other| world.cut(8, other));
    world.cut(8, 1);
    world.run(Duration::from_secs(10));
    assert_eq!((world.up(1).len(), world.up(8).len()), (3, 0));
    // There is another way to the first one.
    world.cut.remove(&(Member(1), Member(8)));
    world.cut.remove(&(Member(8), Member(1)));
    let mut seek = |in_need| {
        for _ in 0..10 {
            let now = world.now;
            let node = world.nodes.get_mut(&Member(8)).unwrap();
            node.seek(now, Member(1), in_need);
            world.run(Duration::from_secs(1));
        }
        world.up(8)
    };
    assert!(seek(false).is_empty());
    assert_eq!(seek(true), [1]);
    assert_eq!(world.up(1).len(), 4, "nobody has lost theirs");
}
