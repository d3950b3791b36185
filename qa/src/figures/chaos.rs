//! Half an hour in which what may happen to an overlay happens to ours, again and again: ways are cut, daemons are killed, sites get other
//! addresses, the registry ends. All nodes ask each other all the time; what they missed is counted, and at the end everything must be as it was.
//!
//! What happens is chance's, but the same for the same seed.

mod events;

use std::time::{Duration, Instant};

use anyhow::Result;
use camino::Utf8Path;
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;

use super::mesh::ours;
use super::{Figure, Told};
use crate::evidence;
use crate::host::{Host, is_root};
use crate::load::number;
use crate::overlay_lab::OverlayLab;
use crate::product;
use crate::story::{act, detail};
use crate::underlay::Plan;
use events::Upsets;

const NODES: u16 = 10;
const SEED: u64 = 20;
/// How many minutes it lasts, unless somebody who is in a hurry says otherwise.
const MINUTES: u64 = 30;
const HURRY: &str = "SLAPBOX_QA_CHAOS_MINUTES";
/// Between two events.
const PACE: Duration = Duration::from_secs(10);
/// How long after the last one everything may take to be as it was.
const CALM: Duration = Duration::from_secs(60);
/// An answer that is later than this was missed.
const MISSED: Duration = Duration::from_secs(1);

/// What was seen.
#[derive(Debug, Default)]
struct Seen {
    /// The longest outage after each event, in seconds.
    outages: Vec<f64>,
}

pub(super) async fn measure(host: &Host) -> Result<Vec<Figure>> {
    if !is_root() {
        detail("there is no chaos: namespaces need root");
        return Ok(Vec::new());
    }
    host.has_programs_of_overlays().await?;
    let program = ours::program(host).await?;
    let folder = product::target()?.join("qa/bench-chaos");
    let mut figures = Told::default();
    let played = play(&program, &folder, &mut figures).await;
    if let Err(error) = &played {
        evidence::show(&folder, &format!("{error:#}"));
    }
    played.map(|()| figures.0)
}

async fn play(program: &Utf8Path, folder: &Utf8Path, figures: &mut Told) -> Result<()> {
    let told = std::env::var(HURRY).ok().and_then(|it| it.parse().ok());
    let lasts = Duration::from_secs(60 * told.unwrap_or(MINUTES));
    let mut lab = OverlayLab::open(program, &Plan::full(NODES), folder).await?;
    lab.start_all()?;
    lab.all_reach_each_other(CALM).await?;
    tokio::time::sleep(CALM).await;
    let before = lab.memory()?;
    let mut upsets = Upsets::new(ChaCha8Rng::seed_from_u64(SEED));
    let seen = upset(&mut lab, &mut upsets, lasts).await?;
    act("calm again");
    upsets.mend_all(&mut lab).await?;
    let mended = Instant::now();
    lab.all_reach_each_other(CALM).await?;
    let back = mended.elapsed().as_secs_f64();
    figures.extend(seen.figures());
    figures.extend([
        Figure::at_most(
            CALM.as_secs_f64(),
            "chaos: all reach each other again",
            back,
            "s",
        ),
        Figure::at_most(
            0.0,
            "chaos: packets that went round and round",
            number(lab.expired()?),
            "",
        ),
    ]);
    tokio::time::sleep(CALM).await;
    let after = lab.memory()?;
    figures.extend([
        Figure::watched("chaos: memory of a node's daemons before", before, "MB"),
        Figure::at_most(
            1.25,
            "chaos: memory after, of that before",
            after / before,
            "",
        ),
        Figure::at_most(
            0.0,
            "chaos: interfaces that nobody needs",
            number(lab.idle_tunnels()?),
            "",
        ),
    ]);
    Ok(())
}

/// Has one thing after another happen, and looks what nodes miss that nothing happened to.
async fn upset(lab: &mut OverlayLab, upsets: &mut Upsets, lasts: Duration) -> Result<Seen> {
    let mut seen = Seen::default();
    let begun = Instant::now();
    while begun.elapsed() < lasts {
        lab.begin_to_watch();
        let spared = upsets.happen(lab).await?;
        tokio::time::sleep(PACE).await;
        let outage = lab.longest_outage(&spared).unwrap_or_default();
        let seconds = outage.as_secs_f64();
        detail(format_args!("the longest outage was {seconds:.1} s"));
        seen.outages.push(seconds);
    }
    Ok(seen)
}

impl Seen {
    fn figures(&self) -> Vec<Figure> {
        let mut sorted = self.outages.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let missed = sorted.iter().filter(|it| **it > MISSED.as_secs_f64());
        let at = |hundredth: usize| {
            let place = sorted.len().saturating_sub(1) * hundredth / 100;
            sorted.get(place).copied().unwrap_or_default()
        };
        vec![
            Figure::watched("chaos: events", number(sorted.len()), ""),
            Figure::watched(
                "chaos: events with more than a second lost",
                number(missed.count()),
                "",
            ),
            Figure::watched("chaos: outage, median", at(50), "s"),
            Figure::watched("chaos: outage, nine of ten", at(90), "s"),
            Figure::watched("chaos: outage, the longest", at(100), "s"),
        ]
    }
}
