//! Simulates a network of many nodes and prints what becomes of it: `cargo run --release -p slapbox-re6st --example mesh -- 10000`.
//!
//! The figures of re6st's own simulation that stand beside are those of its `simulation/results/distance_final.csv` for ten tunnels a node.

#![expect(clippy::print_stdout, reason = "figures are for whoever started it")]

use std::time::{Duration, Instant};

use slapbox_re6st::mesh::Settings;
use slapbox_re6st::mesh::simulation::World;

/// Nodes, and the hops from one to another on average.
const RE6ST: [(f64, f64); 4] = [
    (100.0, 1.82),
    (800.0, 2.57),
    (6400.0, 3.23),
    (102_400.0, 4.15),
];
const SEED: u64 = 1;
/// From how many nodes all ways are measured.
const SAMPLE: usize = 100;
const MOST: u64 = 30 * 60;

fn main() {
    let count = std::env::args().nth(1).and_then(|it| it.parse().ok());
    let count: u32 = count.unwrap_or(10_000);
    let begun = Instant::now();
    let mut world = World::new(count, Settings::default(), SEED);
    let mut connected = None;
    let mut settled = None;
    for second in 1..=120 {
        world.run_until(Duration::from_secs(second));
        if connected.is_none() && reached(&world) == 1.0 {
            connected = Some(second);
        }
        if settled.is_none() && with_enough(&world) >= 0.99 {
            settled = Some(second);
        }
    }
    let start = world.tally();
    say("nodes", f64::from(count), "");
    say_when("all reach each other after", connected);
    say_when("99 of 100 have ten tunnels after", settled);
    say(
        "questions a node until then",
        start.questions as f64 / f64::from(count),
        "",
    );
    say(
        "the most in a second, of all",
        start.most_in_a_second as f64,
        "",
    );
    let fresh = hops(&world);
    world.run_until(Duration::from_secs(MOST));
    let end = world.tally();
    let degrees = degrees(&world);
    say("degree, the least", degrees[0] as f64, "");
    say("degree, median", degrees[degrees.len() / 2] as f64, "");
    say("degree, the most", degrees[degrees.len() - 1] as f64, "");
    let hops = hops(&world);
    say("hops, at first", fresh, "");
    say("hops, after half an hour", hops, "");
    say("hops, re6st's simulation", re6st(f64::from(count)), "");
    say("hops, of re6st's", hops / re6st(f64::from(count)), "");
    let minutes = (MOST - 120) as f64 / 60.0 * f64::from(count);
    say(
        "tunnels replaced a node and minute",
        (end.replaced - start.replaced) as f64 / minutes,
        "",
    );
    say(
        "tunnels that had to stay",
        (end.kept - start.kept) as f64,
        "",
    );
    say(
        "questions a node and minute",
        (end.questions - start.questions) as f64 / minutes,
        "",
    );
    disaster(&mut world);
    say("the simulation took", begun.elapsed().as_secs_f64(), "s");
}

/// One of five nodes goes at once.
fn disaster(world: &mut World) {
    let dying: Vec<u32> = world
        .living()
        .into_iter()
        .filter(|it| it % 5 == 0)
        .collect();
    let when = world.now();
    world.kill(&dying);
    say(
        "of the survivors of a fifth's end, reached at once",
        reached(world) * 100.0,
        "%",
    );
    let mut healed = None;
    for second in 1..=120 {
        world.run_until(when + Duration::from_secs(second));
        if healed.is_none() && with_enough(world) >= 0.99 {
            healed = Some(second);
        }
    }
    say_when("99 of 100 have ten tunnels again after", healed);
    say(
        "of the survivors, reached then",
        reached(world) * 100.0,
        "%",
    );
}

/// The part of the living that one of them reaches.
fn reached(world: &World) -> f64 {
    let living = world.living();
    let hops = world.graph().hops_from(living[0]);
    let reached = living.iter().filter(|it| hops[**it as usize].is_some());
    reached.count() as f64 / living.len() as f64
}

fn with_enough(world: &World) -> f64 {
    let living = world.living();
    let enough = living.iter().filter(|it| world.graph().degree(**it) >= 10);
    enough.count() as f64 / living.len() as f64
}

fn degrees(world: &World) -> Vec<usize> {
    let living = world.living().into_iter();
    let mut degrees: Vec<usize> = living.map(|it| world.graph().degree(it)).collect();
    degrees.sort_unstable();
    degrees
}

/// The hops from one to another on average.
fn hops(world: &World) -> f64 {
    let living = world.living();
    let step = (living.len() / SAMPLE).max(1);
    let (mut sum, mut count) = (0.0, 0.0);
    for number in living.iter().step_by(step) {
        let found = world.graph().hops_from(*number).into_iter().flatten();
        for hops in found.filter(|hops| *hops > 0) {
            sum += f64::from(hops);
            count += 1.0;
        }
    }
    sum / count
}

/// What re6st's simulation found, between its own sizes by the logarithm of the size.
fn re6st(count: f64) -> f64 {
    let above = RE6ST.iter().position(|(nodes, _)| *nodes >= count);
    let above = above.unwrap_or(RE6ST.len() - 1).max(1);
    let ((n, low), (m, high)) = (RE6ST[above - 1], RE6ST[above]);
    low + (high - low) * (count.ln() - n.ln()) / (m.ln() - n.ln())
}

fn say_when(what: &str, second: Option<u64>) {
    match second {
        Some(second) => say(what, second as f64, "s"),
        None => println!("{what:50} never"),
    }
}

fn say(what: &str, value: f64, unit: &str) {
    println!("{what:50} {value:10.2} {unit}");
}
