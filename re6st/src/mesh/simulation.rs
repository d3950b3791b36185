//! A network of thousands of nodes in which time is a number: to see what the tunnels of all become, before there are thousands of machines.
//!
//! Nodes lie on a map, and a message takes as long as its way is. Questions reach everybody, as they do through the registry; whether
//! somebody is reached by tunnels is counted apart. What is not simulated: Babel, which here knows the shortest ways at once; loss; NAT.

mod graph;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

pub use graph::Graph;

use super::{Action, Answer, Input, Member, Mesh, Moment, Settings};

/// A network, and how far its time has come.
#[derive(Debug)]
pub struct World {
    now: Moment,
    nodes: Vec<Node>,
    known: Arc<[Member]>,
    graph: Graph,
    events: BinaryHeap<Reverse<(Moment, u64, Event)>>,
    count: u64,
    chance: ChaCha8Rng,
    tally: Tally,
}

#[derive(Debug)]
struct Node {
    mesh: Mesh,
    /// On a map whose sides are a second's way.
    place: (f64, f64),
    /// To whom its end of a tunnel is made.
    open: BTreeSet<u32>,
    lives: bool,
    /// When its timer is set for.
    timer: Moment,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Timeout(u32),
    Message(u32, u32, Message),
}

/// What one node hears of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Message {
    Asks,
    Accepts,
    IsFull,
    HasAsked,
    IsUp,
    IsDown,
    Drains,
    Keeps,
    Closes,
    NobodySends,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub questions: u64,
    pub refused: u64,
    /// Tunnels that came up.
    pub made: u64,
    /// Tunnels that were closed because they were used least.
    pub replaced: u64,
    /// Tunnels that should have been, and were somebody's only way.
    pub kept: u64,
    /// The most questions that all nodes asked within a second.
    pub most_in_a_second: u64,
    /// Which second is counted, and its questions.
    second: (u64, u64),
}

/// The longest way on the map, there and back.
const LONGEST: f64 = 0.3;
const SHORTEST: f64 = 0.004;
/// How long it takes until it is noticed that a node has gone.
const NOTICED_AFTER: Duration = Duration::from_secs(2);
/// How long it takes until nobody sends by a tunnel whose cost was raised.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

impl World {
    /// Makes so many nodes, which begin at once and know of each other.
    pub fn new(count: u32, settings: Settings, seed: u64) -> Self {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let nodes = (0..count).map(|number| {
            let place = (chance.random(), chance.random());
            Node::new(number, settings, place, chance.random(), Moment::ZERO)
        });
        let mut world = Self {
            now: Moment::ZERO,
            nodes: nodes.collect(),
            known: (0..count).map(Member).collect(),
            graph: Graph::new(count),
            events: BinaryHeap::new(),
            count: 0,
            chance,
            tally: Tally::default(),
        };
        for number in 0..count {
            let known = Arc::clone(&world.known);
            world.tell(number, Input::Known(known));
        }
        world
    }

    /// Returns how far time has come.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Returns what has happened so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Returns who has tunnels with whom, of those who live.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Returns the numbers of those who live.
    pub fn living(&self) -> Vec<u32> {
        let nodes = (0..).zip(&self.nodes);
        let living = nodes.filter(|(_, node)| node.lives);
        living.map(|(number, _)| number).collect()
    }

    /// Lets time pass.
    pub fn run_until(&mut self, end: Moment) {
        while let Some(Reverse((when, ..))) = self.events.peek()
            && *when <= end
        {
            let Some(Reverse((when, _, event))) = self.events.pop() else {
                break;
            };
            self.now = when;
            self.happens(event);
        }
        self.now = end;
    }

    /// Ends nodes at once, without a word; the others notice after a while.
    pub fn kill(&mut self, numbers: &[u32]) {
        for number in numbers {
            self.nodes[*number as usize].lives = false;
            for peer in self.graph.remove_all(*number) {
                self.send_within(NOTICED_AFTER, *number, peer, Message::IsDown);
            }
        }
        self.retell();
    }

    /// Has one more node begin, and says its number.
    pub fn join(&mut self, settings: Settings) -> u32 {
        let number = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let place = (self.chance.random(), self.chance.random());
        let seed = self.chance.random();
        self.nodes
            .push(Node::new(number, settings, place, seed, self.now));
        self.graph.add();
        self.retell();
        number
    }

    /// Tells everybody who there is.
    fn retell(&mut self) {
        self.known = self.living().into_iter().map(Member).collect();
        for number in self.living() {
            let known = Arc::clone(&self.known);
            self.tell(number, Input::Known(known));
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Timeout(number) => {
                let node = &mut self.nodes[number as usize];
                // Set anew since.
                if node.lives && node.timer <= self.now {
                    node.mesh.handle_timeout(self.now);
                    self.act(number);
                }
            }
            Event::Message(from, to, message) => {
                if let Some(input) = self.heard(from, to, message) {
                    self.tell(to, input);
                }
            }
        }
    }

    /// Returns what a message says, if somebody is there who hears it.
    fn heard(&mut self, from: u32, to: u32, message: Message) -> Option<Input> {
        if !self.nodes[to as usize].lives {
            return None;
        }
        let peer = Member(from);
        Some(match message {
            Message::Asks => Input::Asked(peer),
            Message::Accepts => Input::Answered(peer, Answer::Accepted),
            Message::IsFull => {
                self.tally.refused += 1;
                Input::Answered(peer, Answer::Full)
            }
            Message::HasAsked => Input::Answered(peer, Answer::Crossed),
            Message::IsUp => {
                let both = self.is_open(from, to) && self.is_open(to, from);
                if !both {
                    return None;
                }
                if self.graph.connect(from, to) {
                    self.tally.made += 1;
                }
                Input::Up(peer)
            }
            Message::IsDown => Input::Down(peer),
            Message::Drains => Input::Drains(peer),
            Message::Keeps => Input::Keeps(peer),
            Message::Closes => Input::Closed(peer),
            Message::NobodySends => {
                if !self.graph.has_way_around(from, to) {
                    return None;
                }
                self.tally.replaced += 1;
                Input::Unused(peer)
            }
        })
    }

    fn tell(&mut self, number: u32, input: Input) {
        let now = self.now;
        self.nodes[number as usize].mesh.handle_input(now, input);
        self.act(number);
    }

    /// Does what a node wants done.
    fn act(&mut self, number: u32) {
        while let Some(action) = self.nodes[number as usize].mesh.poll_action() {
            match action {
                Action::Ask(Member(peer)) => {
                    self.tally.asks(self.now);
                    self.send(number, peer, Message::Asks);
                }
                Action::Answer(Member(peer), answer) => {
                    let message = match answer {
                        Answer::Accepted => Message::Accepts,
                        Answer::Full => Message::IsFull,
                        Answer::Crossed => Message::HasAsked,
                    };
                    self.send(number, peer, message);
                }
                Action::Open(Member(peer)) => self.open(number, peer),
                Action::Drain(Member(peer)) => {
                    self.send(number, peer, Message::Drains);
                    self.send_within(SETTLED_AFTER, peer, number, Message::NobodySends);
                }
                Action::Keep(Member(peer)) => {
                    self.tally.kept += 1;
                    self.send(number, peer, Message::Keeps);
                }
                Action::Close(Member(peer)) => self.close(number, peer),
                Action::Weigh => {
                    let use_of = self.graph.destinations_by(number);
                    let use_of = use_of
                        .into_iter()
                        .map(|(peer, count)| (Member(peer), count));
                    let input = Input::Weighed(use_of.collect());
                    let now = self.now;
                    self.nodes[number as usize].mesh.handle_input(now, input);
                }
            }
        }
        let node = &mut self.nodes[number as usize];
        let next = node.mesh.poll_timeout().max(self.now);
        if next != node.timer {
            node.timer = next;
            self.schedule(next, Event::Timeout(number));
        }
    }

    /// Makes one end; when both are there, something comes through.
    fn open(&mut self, number: u32, peer: u32) {
        self.nodes[number as usize].open.insert(peer);
        if self.is_open(peer, number) {
            self.send(number, peer, Message::IsUp);
            self.send(peer, number, Message::IsUp);
        }
    }

    fn close(&mut self, number: u32, peer: u32) {
        if self.nodes[number as usize].open.remove(&peer) {
            self.graph.disconnect(number, peer);
            self.send(number, peer, Message::Closes);
        }
    }

    fn is_open(&self, number: u32, peer: u32) -> bool {
        let node = &self.nodes[number as usize];
        node.lives && node.open.contains(&peer)
    }

    fn send(&mut self, from: u32, to: u32, message: Message) {
        self.send_within(Duration::ZERO, from, to, message);
    }

    fn send_within(&mut self, after: Duration, from: u32, to: u32, message: Message) {
        let way = self.nodes[from as usize].way_to(&self.nodes[to as usize]);
        self.schedule(self.now + after + way, Event::Message(from, to, message));
    }

    fn schedule(&mut self, when: Moment, event: Event) {
        self.count += 1;
        self.events.push(Reverse((when, self.count, event)));
    }
}

impl Node {
    fn new(number: u32, settings: Settings, place: (f64, f64), seed: u64, now: Moment) -> Self {
        Self {
            mesh: Mesh::new(Member(number), settings, seed, now),
            place,
            open: BTreeSet::new(),
            lives: true,
            timer: Moment::MAX,
        }
    }

    /// Returns how long a message takes.
    fn way_to(&self, other: &Self) -> Duration {
        let (x, y) = (self.place.0 - other.place.0, self.place.1 - other.place.1);
        Duration::from_secs_f64(SHORTEST + LONGEST / 2.0 * x.hypot(y) / f64::sqrt(2.0))
    }
}

impl Tally {
    fn asks(&mut self, now: Moment) {
        self.questions += 1;
        let (second, count) = self.second;
        let count = if second == now.as_secs() {
            count + 1
        } else {
            1
        };
        self.second = (now.as_secs(), count);
        self.most_in_a_second = self.most_in_a_second.max(count);
    }
}
