//! One node and what it does about each thing that happens; and whole networks, simulated.

use super::simulation::World;
use super::*;

const ME: Member = Member(5);
const SECOND: Duration = Duration::from_secs(1);

fn known(numbers: impl IntoIterator<Item = u32>) -> Input {
    Input::Known(numbers.into_iter().map(Member).collect())
}

fn settings() -> Settings {
    Settings::default()
}

/// One node, and what it wants done.
struct Desk {
    mesh: Mesh,
    now: Moment,
}

impl Desk {
    fn new(settings: Settings) -> Self {
        let now = Moment::ZERO;
        Self {
            mesh: Mesh::new(ME, settings, 7, now),
            now,
        }
    }

    fn happens(&mut self, input: Input) -> Vec<Action> {
        self.mesh.handle_input(self.now, input);
        self.actions()
    }

    fn after(&mut self, time: Duration) -> Vec<Action> {
        let end = self.now + time;
        let mut all = Vec::new();
        while self.mesh.poll_timeout() <= end {
            self.now = self.now.max(self.mesh.poll_timeout());
            self.mesh.handle_timeout(self.now);
            all.extend(self.actions());
        }
        self.now = end;
        all
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.mesh.poll_action()).collect()
    }

    /// Somebody asks for a tunnel, which comes up.
    fn is_joined_by(&mut self, number: u32) {
        let peer = Member(number);
        let answer = Action::Answer(peer, Answer::Accepted);
        assert_eq!(
            self.happens(Input::Asked(peer)),
            [answer, Action::Open(peer)]
        );
        self.happens(Input::Up(peer));
    }

    /// Everybody whom it asks accepts, for so long.
    fn lives(&mut self, time: Duration) {
        let end = self.now + time;
        let mut actions = self.actions();
        loop {
            for action in actions {
                if let Action::Ask(peer) = action {
                    self.happens(Input::Answered(peer, Answer::Accepted));
                    self.happens(Input::Up(peer));
                }
            }
            if self.mesh.poll_timeout() > end {
                break;
            }
            actions = self.after(self.mesh.poll_timeout() - self.now);
        }
        self.now = end;
    }

    fn tunnels(&self) -> Vec<Member> {
        self.mesh.tunnels().map(|(peer, _)| peer).collect()
    }
}

fn asked(actions: &[Action]) -> Vec<Member> {
    let asked = actions.iter().filter_map(|action| match action {
        Action::Ask(peer) => Some(*peer),
        Action::Answer(..)
        | Action::Open(_)
        | Action::Drain(_)
        | Action::Keep(_)
        | Action::Close(_)
        | Action::Weigh => None,
    });
    asked.collect()
}

#[test]
fn who_is_alone_asks_nobody() {
    let mut desk = Desk::new(settings());
    assert_eq!(desk.happens(known([5])), []);
    assert_eq!(desk.after(600 * SECOND), []);
}

#[test]
fn a_question_that_is_accepted_becomes_a_tunnel() {
    let mut desk = Desk::new(settings());
    desk.happens(known([5, 6]));
    let peer = Member(6);
    assert_eq!(desk.after(SECOND), [Action::Ask(peer)]);
    assert_eq!(
        desk.happens(Input::Answered(peer, Answer::Accepted)),
        [Action::Open(peer)]
    );
    assert_eq!(desk.mesh.tunnels().collect::<Vec<_>>(), [(peer, false)]);
    desk.happens(Input::Up(peer));
    assert_eq!(desk.mesh.tunnels().collect::<Vec<_>>(), [(peer, true)]);
    // An answer that nobody waits for changes nothing.
    assert_eq!(desk.happens(Input::Answered(peer, Answer::Full)), []);
    assert_eq!(
        desk.happens(Input::Answered(Member(9), Answer::Accepted)),
        []
    );
    assert_eq!(desk.tunnels(), [peer]);
}

#[test]
fn who_does_not_answer_or_comes_to_nothing_rests() {
    let mut desk = Desk::new(settings());
    // Who has a tunnel can wait; who has none asks again, whoever it is.
    desk.happens(known([4, 5, 6]));
    desk.happens(Input::Asked(Member(4)));
    desk.happens(Input::Up(Member(4)));
    let peer = Member(6);
    assert_eq!(asked(&desk.after(119 * SECOND)), [peer]);
    let again = (0..60).find(|_| !desk.after(SECOND).is_empty());
    assert!(again.is_some());
    desk.happens(Input::Answered(peer, Answer::Accepted));
    assert_eq!(desk.after(11 * SECOND), [Action::Close(peer)]);
    assert_eq!(desk.tunnels(), [Member(4)]);
}

#[test]
fn who_is_alone_asks_again_and_again_those_first_who_can_be_reached() {
    let mut desk = Desk::new(settings());
    desk.happens(Input::Public([Member(900)].into()));
    desk.happens(known(1..1000));
    let asked = asked(&desk.after(60 * SECOND));
    let of_public = asked.iter().filter(|peer| **peer == Member(900)).count();
    assert!(asked.len() >= 12, "{asked:?}");
    assert!(of_public >= 1, "{asked:?}");

    let mut desk = Desk::new(settings());
    desk.happens(known([5, 6]));
    let actions = desk.after(60 * SECOND);
    assert!(
        actions.len() >= 6,
        "though it has not answered: {actions:?}"
    );
}

#[test]
fn who_has_moved_is_asked_again_at_once() {
    let mut desk = Desk::new(settings());
    desk.happens(known([4, 5, 6]));
    desk.happens(Input::Asked(Member(4)));
    desk.happens(Input::Up(Member(4)));
    let peer = Member(6);
    assert_eq!(asked(&desk.after(60 * SECOND)), [peer]);
    desk.happens(Input::Moved(peer));
    assert_eq!(asked(&desk.after(30 * SECOND)), [peer]);
}

#[test]
fn who_has_moved_while_they_are_asked_may_answer_later() {
    let mut desk = Desk::new(settings());
    let peer = Member(6);
    desk.happens(known([5, 6]));
    assert_eq!(asked(&desk.after(SECOND)), [peer]);
    desk.happens(Input::Moved(peer));
    assert_eq!(asked(&desk.after(7 * SECOND)), [], "the question counts");
    let answer = desk.happens(Input::Answered(peer, Answer::Accepted));
    assert_eq!(answer, [Action::Open(peer)]);
}

#[test]
fn who_is_distrusted_has_no_tunnel_for_an_hour() {
    let mut desk = Desk::new(settings());
    desk.happens(known([4, 5, 6]));
    for peer in [4, 6].map(Member) {
        desk.happens(Input::Asked(peer));
        desk.happens(Input::Up(peer));
    }
    let liar = Member(4);
    assert_eq!(desk.happens(Input::Distrusted(liar)), [Action::Close(liar)]);
    let asked_by_us = asked(&desk.after(3500 * SECOND));
    assert!(!asked_by_us.contains(&liar), "{asked_by_us:?}");
    let refused = [Action::Answer(liar, Answer::Full)];
    assert_eq!(desk.happens(Input::Asked(liar)), refused);
    desk.after(400 * SECOND);
    let answers = desk.happens(Input::Asked(liar));
    let forgiven = Action::Answer(liar, Answer::Accepted);
    assert!(
        desk.tunnels().contains(&liar) || answers.contains(&forgiven),
        "{answers:?}"
    );
}

#[test]
fn who_is_nobody_any_more_has_no_tunnel() {
    let mut desk = Desk::new(settings());
    desk.happens(known([4, 5, 6]));
    for peer in [4, 6].map(Member) {
        desk.happens(Input::Asked(peer));
        desk.happens(Input::Up(peer));
    }
    let actions = desk.happens(known([5, 6]));
    assert_eq!(actions, [Action::Close(Member(4))]);
    assert_eq!(desk.tunnels(), [Member(6)]);
}

#[test]
fn of_two_questions_that_cross_the_smaller_ones_counts() {
    for (number, answer) in [(6, Answer::Crossed), (4, Answer::Accepted)] {
        let mut desk = Desk::new(settings());
        let peer = Member(number);
        desk.happens(known([number]));
        assert_eq!(desk.after(SECOND), [Action::Ask(peer)]);
        let mut actions = desk.happens(Input::Asked(peer));
        assert_eq!(actions.remove(0), Action::Answer(peer, answer));
        let theirs = match answer {
            Answer::Crossed => Answer::Accepted,
            Answer::Accepted | Answer::Full => Answer::Crossed,
        };
        actions.extend(desk.happens(Input::Answered(peer, theirs)));
        assert_eq!(actions, [Action::Open(peer)]);
    }
}

#[test]
fn nobody_has_more_tunnels_than_they_may() {
    let mut desk = Desk::new(settings());
    (100..120).for_each(|number| desk.is_joined_by(number));
    let late = Member(120);
    assert_eq!(
        desk.happens(Input::Asked(late)),
        [Action::Answer(late, Answer::Full)]
    );
    // A question that is repeated is answered again.
    let again = Member(100);
    let answer = Action::Answer(again, Answer::Accepted);
    assert_eq!(desk.happens(Input::Asked(again)), [answer]);
    assert_eq!(asked(&desk.happens(known(0..200))), []);

    let mut desk = Desk::new(settings());
    desk.happens(known(0..200));
    desk.lives(60 * SECOND);
    assert_eq!(desk.tunnels().len(), 10);
}

#[test]
fn the_least_used_tunnel_goes_when_nobody_needs_it() {
    let mut desk = Desk::new(settings());
    desk.happens(known(0..200));
    desk.lives(60 * SECOND);
    let tunnels = desk.tunnels();
    let weights = || {
        (0..)
            .zip(&tunnels)
            .map(|(use_of, peer)| (*peer, 100 - use_of))
    };
    // Too new.
    assert_eq!(desk.happens(Input::Weighed(weights().collect())), []);
    let due = desk.after(460 * SECOND);
    assert!(due.contains(&Action::Weigh), "{due:?}");
    let least = *tunnels.last().unwrap();
    assert_eq!(
        desk.happens(Input::Weighed(weights().collect())),
        [Action::Drain(least)]
    );
    assert_eq!(desk.happens(Input::Weighed(weights().collect())), []);
    let ended = desk.happens(Input::Unused(least));
    assert_eq!(ended[0], Action::Close(least));
    desk.lives(10 * SECOND);
    assert_eq!(desk.tunnels().len(), 10);
    assert!(!desk.tunnels().contains(&least));
}

#[test]
fn a_tunnel_that_is_somebodys_only_way_stays() {
    let mut desk = Desk::new(settings());
    desk.happens(known(0..200));
    desk.lives(500 * SECOND);
    let [drain] = &desk.happens(Input::Weighed(BTreeMap::new()))[..] else {
        panic!("nothing is drained");
    };
    let Action::Drain(peer) = *drain else {
        panic!("{drain:?}");
    };
    assert!(desk.after(31 * SECOND).contains(&Action::Keep(peer)));
    assert_eq!(desk.happens(Input::Unused(peer)), []);
    assert!(desk.tunnels().contains(&peer));
}

#[test]
fn who_lost_tunnels_makes_others() {
    let mut desk = Desk::new(settings());
    desk.happens(known(0..200));
    desk.lives(60 * SECOND);
    let before = desk.tunnels();
    for peer in &before[..4] {
        assert_eq!(desk.happens(Input::Down(*peer))[0], Action::Close(*peer));
    }
    let gone = desk.happens(Input::Closed(before[4]));
    assert_eq!(gone[0], Action::Close(before[4]));
    desk.lives(20 * SECOND);
    let after = desk.tunnels();
    assert_eq!(after.len(), 10);
    assert!(before[..5].iter().all(|peer| !after.contains(peer)));
}

#[test]
fn whom_much_is_sent_to_is_asked_first() {
    let mut desk = Desk::new(settings());
    desk.happens(known(0..200));
    desk.is_joined_by(200);
    assert_eq!(desk.happens(Input::Busy(Member(77)))[..], []);
    desk.lives(5 * SECOND);
    assert!(desk.tunnels().contains(&Member(77)));
    // With no room left, room is made.
    desk.lives(600 * SECOND);
    assert!(
        desk.happens(Input::Busy(Member(78)))
            .contains(&Action::Weigh)
    );
    let drained = desk.happens(Input::Weighed(BTreeMap::new()));
    let Some(Action::Drain(least)) = drained.first() else {
        panic!("{drained:?}");
    };
    let then = desk.happens(Input::Unused(*least));
    desk.lives(5 * SECOND);
    assert!(then.contains(&Action::Ask(Member(78))) || desk.tunnels().contains(&Member(78)));
}

#[test]
fn other_settings_drop_no_tunnel() {
    let mut desk = Desk::new(settings());
    desk.happens(known(0..200));
    desk.lives(60 * SECOND);
    desk.mesh.set(Settings {
        own: 5,
        wanted: 8,
        in_all: 10,
        ..settings()
    });
    let actions = desk.after(10 * SECOND);
    assert_eq!(actions, []);
    assert_eq!(desk.tunnels().len(), 10);
}

#[test]
fn a_network_becomes_one_and_stays_one() {
    let mut world = World::new(500, Settings::default(), 3);
    world.run_until(60 * SECOND);
    let living = world.living();
    let reached = |world: &World| {
        let from = world.living()[0];
        world.graph().hops_from(from).into_iter().flatten().count()
    };
    assert_eq!(reached(&world), 500);
    let degrees = |world: &World| -> Vec<usize> {
        let degrees = living.iter().map(|it| world.graph().degree(*it));
        degrees.collect()
    };
    assert!(
        degrees(&world)
            .iter()
            .all(|degree| (8..=20).contains(degree))
    );
    let early = world.tally();
    world.run_until(1200 * SECOND);
    let late = world.tally();
    assert!(late.replaced > early.replaced + 500, "{late:?}");
    assert_eq!(reached(&world), 500);
    assert!(degrees(&world).iter().all(|degree| *degree <= 20));

    // Ways are as long as the map says, so that the same seed brings the same network.
    let mut again = World::new(500, Settings::default(), 3);
    again.run_until(1200 * SECOND);
    assert_eq!(again.tally(), late);
}

#[test]
fn a_network_loses_a_fifth_and_heals() {
    let mut world = World::new(500, Settings::default(), 4);
    world.run_until(60 * SECOND);
    let dying: Vec<u32> = (0..100).collect();
    world.kill(&dying);
    world.run_until(120 * SECOND);
    let hops = world.graph().hops_from(499);
    assert!(world.living().iter().all(|it| hops[*it as usize].is_some()));
    let late = world.join(Settings::default());
    world.run_until(125 * SECOND);
    assert!(world.graph().degree(late) >= 1);
}

#[test]
fn who_reaches_nobody_else_is_accepted_by_who_has_no_room_for_others() {
    let mut desk = Desk::new(settings());
    (100..120).for_each(|number| desk.is_joined_by(number));
    for peer in (200..264).map(Member) {
        let accepted = [Action::Answer(peer, Answer::Accepted), Action::Open(peer)];
        assert_eq!(desk.happens(Input::AskedInNeed(peer)), accepted);
        desk.happens(Input::Up(peer));
    }
    let late = Member(264);
    let full = [Action::Answer(late, Answer::Full)];
    assert_eq!(desk.happens(Input::AskedInNeed(late)), full);
    assert_eq!(desk.tunnels().len(), 84);
}

#[test]
fn who_is_sought_is_asked_though_it_rests() {
    let mut desk = Desk::new(settings());
    desk.happens(known(1..1000));
    let sought = Member(900);
    for _ in 0..3 {
        desk.happens(Input::Sought {
            peer: sought,
            in_need: false,
        });
        let actions = asked(&desk.after(2 * SECOND));
        assert!(actions.contains(&sought), "{actions:?}");
        // It does not answer, and rests.
        desk.after(4 * SECOND);
    }
}

#[test]
fn room_is_made_for_who_is_sought_in_need_only() {
    let mut desk = Desk::new(settings());
    desk.happens(known(0..200));
    desk.lives(600 * SECOND);
    assert_eq!(desk.tunnels().len(), 10);
    let free = (0..200).map(Member).find(|peer| desk.mesh.is_free(*peer));
    let sought = |in_need| Input::Sought {
        peer: free.unwrap(),
        in_need,
    };
    assert_eq!(desk.happens(sought(false)), []);
    desk.mesh.wishes.clear();
    assert_eq!(desk.happens(sought(true)), [Action::Weigh]);
}
