//! Where the nodes of a graph are in a picture: those with an edge pull each other, all push each other away, and the movement cools down
//! (Fruchterman and Reingold, "Graph drawing by force-directed placement", 1991). Nothing is left to chance.

/// How long an edge is when nothing else pulls.
const LENGTH: f64 = 110.0;
/// How often all are moved, unless they are so many that it would take longer than a second or two.
const ROUNDS: usize = 400;
const LEAST_ROUNDS: usize = 30;
const MOST_PUSHES: usize = 100_000_000;
/// What holds those together that no edge holds, of a few; the more there are, the stronger, since all push.
const GRAVITY: f64 = 0.3;
/// How far a node is from the nearest other in the mean, at least, so that names can be read.
const APART: f64 = 55.0;

/// A place in a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

impl Point {
    fn minus(self, other: Self) -> Self {
        Self {
            x: self.x - other.x,
            y: self.y - other.y,
        }
    }

    fn length(self) -> f64 {
        self.x.hypot(self.y)
    }

    fn add(&mut self, other: Self, times: f64) {
        self.x += other.x * times;
        self.y += other.y * times;
    }
}

/// Returns where `count` nodes are, none left of or above 0; `edges` are numbers of nodes below that.
pub(super) fn layout(count: usize, edges: &[(usize, usize)]) -> Vec<Point> {
    let mut places = circle(count);
    let rounds = MOST_PUSHES / (count * count).max(1);
    let rounds = rounds.clamp(LEAST_ROUNDS, ROUNDS);
    let widest = LENGTH * number(count).sqrt();
    for round in 0..rounds {
        let heat = widest / 4.0 * (1.0 - number(round) / number(rounds));
        let forces = forces(&places, edges);
        for (place, force) in places.iter_mut().zip(forces) {
            let length = force.length();
            if length > 0.0 {
                place.add(force, heat.min(length) / length);
            }
        }
    }
    spread(&mut places);
    from_the_corner(&mut places);
    places
}

/// Returns `count` places on a circle, in order.
fn circle(count: usize) -> Vec<Point> {
    let turn = std::f64::consts::TAU / number(count.max(1));
    let radius = LENGTH / turn;
    let place = |place: usize| {
        // Not quite a circle: on one, what pushes from both sides could be equal for ever.
        let radius = radius * (1.0 + number(place % 7) / 50.0);
        let (y, x) = (turn * number(place)).sin_cos();
        Point {
            x: x * radius,
            y: y * radius,
        }
    };
    (0..count).map(place).collect()
}

fn forces(places: &[Point], edges: &[(usize, usize)]) -> Vec<Point> {
    let gravity = GRAVITY * number(places.len()).cbrt();
    let mut forces: Vec<Point> = places
        .iter()
        .map(|place| Point {
            x: -place.x * gravity,
            y: -place.y * gravity,
        })
        .collect();
    for one in 0..places.len() {
        for other in 0..one {
            let apart = places[one].minus(places[other]);
            let distance = apart.length().max(1.0);
            let push = (LENGTH / distance).powi(2);
            forces[one].add(apart, push);
            forces[other].add(apart, -push);
        }
    }
    for (one, other) in edges {
        let apart = places[*one].minus(places[*other]);
        let pull = apart.length() / LENGTH;
        forces[*one].add(apart, -pull);
        forces[*other].add(apart, pull);
    }
    forces
}

/// Makes the picture larger where nodes are too near to each other.
fn spread(places: &mut [Point]) {
    let nearest = |one: usize| {
        let others = (0..places.len()).filter(|other| *other != one);
        let distances = others.map(|other| places[one].minus(places[other]).length());
        distances.reduce(f64::min)
    };
    let all: Vec<f64> = (0..places.len()).filter_map(nearest).collect();
    let mean = all.iter().sum::<f64>() / number(all.len().max(1));
    let larger = if mean > 0.0 {
        (APART / mean).max(1.0)
    } else {
        1.0
    };
    for place in places {
        (place.x, place.y) = (place.x * larger, place.y * larger);
    }
}

/// Moves all so that the leftmost and the uppermost are at 0.
fn from_the_corner(places: &mut [Point]) {
    let least = |side: fn(&Point) -> f64, places: &[Point]| {
        places.iter().map(side).fold(f64::INFINITY, f64::min)
    };
    let corner = Point {
        x: least(|place| place.x, places),
        y: least(|place| place.y, places),
    };
    for place in places {
        *place = place.minus(corner);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no picture has 2 to the 53 nodes"
)]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(places: &[Point], one: usize, other: usize) -> f64 {
        places[one].minus(places[other]).length()
    }

    #[test]
    fn two_neighbours_are_an_edge_apart() {
        let places = layout(2, &[(0, 1)]);
        let length = distance(&places, 0, 1);
        assert!((80.0..130.0).contains(&length), "{length}");
    }

    #[test]
    fn neighbours_are_near_and_nobody_is_on_top_of_another() {
        // Two rings of eight, and one edge between them.
        let ring = |first: usize| (0..8).map(move |it| (first + it, first + (it + 1) % 8));
        let edges: Vec<_> = ring(0).chain(ring(8)).chain([(0, 8)]).collect();
        let places = layout(16, &edges);
        let mean = |pairs: &[(usize, usize)]| {
            let all = pairs
                .iter()
                .map(|(one, other)| distance(&places, *one, *other));
            all.sum::<f64>() / number(pairs.len())
        };
        let strangers: Vec<_> = (1..8).map(|it| (it, it + 8)).collect();
        assert!(mean(&edges) < mean(&strangers));
        for one in 0..16 {
            assert!(places[one].x >= 0.0 && places[one].y >= 0.0);
            for other in 0..one {
                assert!(distance(&places, one, other) > 20.0, "{one} {other}");
            }
        }
        assert_eq!(places, layout(16, &edges), "the same is the same picture");
    }

    #[test]
    fn any_number_of_nodes_has_places() {
        for count in [0, 1, 3, 200] {
            let places = layout(count, &[]);
            assert_eq!(places.len(), count);
            assert!(places.iter().all(|it| it.x.is_finite() && it.y.is_finite()));
        }
    }
}
