//! The original's overlay and ours in turn on the same underlay: sites in namespaces of this machine around a switch. Both are driven
//! by their own programs and asked alike: by datagrams between the nodes' addresses, and by what the kernel counts of their processes.
//!
//! The bench, the switch and the sites share the processors, so that what matters is how the two compare.

mod measured;
mod original;
pub(super) mod ours;
mod throughput;
mod world;

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use crate::evidence;
use crate::figures::{Figure, Told};
use crate::files::empty_folder;
use crate::host::{Host, is_root};
use crate::product;
use crate::story::{act, detail};
use measured::{Measured, What};
use original::Original;
use ours::Ours;
use world::{Overlay, World};

/// How many nodes start at once.
const STARTS: [u16; 3] = [3, 5, 10];
/// How many there are while the rest is measured, of which the last joins the others.
const NODES: u16 = 10;

/// Which overlays are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Both,
    Ours,
}

pub(super) async fn measure(host: &Host, whose: Whose) -> Result<Vec<Figure>> {
    if !is_root() {
        detail("overlays are not measured: namespaces need root");
        return Ok(Vec::new());
    }
    host.has_programs_of_overlays().await?;
    let folder = product::target()?.join("qa/bench-mesh");
    empty_folder(&folder)?;
    let mut figures = Told::default();
    let measured = measure_in(host, whose, &folder, &mut figures).await;
    if let Err(error) = &measured {
        evidence::show(&folder, &format!("{error:#}"));
    }
    measured.map(|()| figures.0)
}

async fn measure_in(
    host: &Host,
    whose: Whose,
    folder: &Utf8Path,
    figures: &mut Told,
) -> Result<()> {
    let program = ours::program(host).await?;
    let theirs = match whose {
        Whose::Ours => None,
        Whose::Both => {
            let installed = original::install(host).await?;
            let folder = folder.join("original");
            let theirs = play::<Original>(&installed, &folder, figures).await;
            Some(theirs.context("the original's overlay cannot be measured")?)
        }
    };
    let ours = play::<Ours>(&program, &folder.join("ours"), figures)
        .await
        .context("our overlay cannot be measured")?;
    if let Some(theirs) = theirs {
        figures.extend(ours.beside(&theirs));
    }
    Ok(())
}

/// Measures one of the two.
async fn play<O: Overlay>(
    program: &O::Program,
    folder: &Utf8Path,
    figures: &mut Told,
) -> Result<Measured> {
    let mut measured = Measured::of(O::NAME, O::HAS_GOALS);
    for count in STARTS {
        act(format_args!("{}: {count} nodes start at once", O::NAME));
        let place = folder.join(format!("start-{count}"));
        let mut world: World<O> = World::make(program, count, &place).await?;
        let all: Vec<u16> = (1..=count).collect();
        figures.extend([measured.note_wait(What::Start(count), &world.start(&all, &all).await?)]);
        if count == STARTS[0] {
            world.settle().await?;
            let (raw, tunnel) = throughput::measure(&world).await?;
            figures.extend([
                measured.note(What::Raw, raw),
                measured.note(What::Tunnel, tunnel),
            ]);
        }
    }
    let place = folder.join("upsets");
    let mut world: World<O> = World::make(program, NODES, &place).await?;
    upset(&mut world, &mut measured, figures).await?;
    Ok(measured)
}

/// What becomes of a network in which all goes well, and then something does not.
async fn upset<O: Overlay>(
    world: &mut World<O>,
    measured: &mut Measured,
    figures: &mut Told,
) -> Result<()> {
    let name = O::NAME;
    let all: Vec<u16> = (1..=NODES).collect();
    act(format_args!("{name}: a new node joins {}", NODES - 1));
    world
        .start(&all[..all.len() - 1], &all[..all.len() - 1])
        .await?;
    world.settle().await?;
    let joined = world.start(&all[all.len() - 1..], &all).await?;
    figures.extend([measured.note_wait(What::Join, &joined)]);

    act(format_args!(
        "{name}: {NODES} nodes that have nothing to do"
    ));
    world.settle().await?;
    let cost = world.idle_cost().await?;
    figures.extend([
        measured.note(What::Rss, cost.rss),
        measured.note(What::Pss, cost.pss),
        measured.note(What::Cpu, cost.cpu),
        measured.note(What::CpuOfBabeld, cost.babeld),
        measured.note(What::Traffic, cost.traffic),
    ]);

    let flows = world.flows().await?;
    let (one, other) = flows
        .busiest(|site| site != 1)
        .or_else(|| flows.busiest(|_| true))
        .context("no two nodes speak to each other")?;
    act(format_args!(
        "{name}: the link between {one} and {other} is cut"
    ));
    let cut = world
        .outage(&all, |underlay| underlay.cut(one, other))
        .await?;
    figures.extend([measured.note_wait(What::Cut, &cut)]);
    world.mend(one, other).await?;

    let flows = world.flows().await?;
    let dead = flows.busiest_site(|site| site != 1);
    let dead = dead.context("no node speaks")?;
    act(format_args!("{name}: node {dead} dies"));
    let survivors: Vec<u16> = all.into_iter().filter(|&it| it != dead).collect();
    let crash = world
        .outage(&survivors, |underlay| underlay.cut_power(dead))
        .await?;
    world.bury(dead);
    figures.extend([measured.note_wait(What::Crash, &crash)]);
    Ok(())
}
