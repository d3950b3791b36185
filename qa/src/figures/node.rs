//! A node with 200 instances: boxes in namespaces of this machine, with the product's programs, and the original's node beside them at
//! the same master. The bench, the master and the files' server share the processors with what is measured.
//!
//! When an instance is processed is what both nodes note themselves: the time of the `.timestamp` in its partition.

mod autogroups;
mod original;
mod passes;
mod promises;
mod stage;
mod storm;

use anyhow::Result;
use camino::Utf8Path;

use crate::figures::{Figure, Told};
use crate::files::empty_folder;
use crate::host::{Host, is_root};
use crate::load::raise_open_files;
use crate::peer::Peer;
use crate::product::{self, Product};
use crate::story::{act, detail};
use stage::{Processed, Stage};

/// How many partitions the box has, all of them busy.
const PARTITIONS: u16 = 200;

pub(super) async fn measure(host: &Host) -> Result<Vec<Figure>> {
    if !is_root() {
        detail("a node is not measured: namespaces need root");
        return Ok(Vec::new());
    }
    raise_open_files()?;
    let folder = product::target()?.join("qa/bench-node");
    empty_folder(&folder)?;
    let python = match Peer::told_python() {
        Ok(python) => python,
        Err(_) => Peer::ensure(host).await?.python(),
    };
    let product = Product::find()?;
    let mut figures = Told::default();
    let _off = autogroups::Off::now();
    stage::play(&product, &python, &folder, async |stage| {
        let measured = play(stage, &folder, &mut figures).await;
        let journal = stage.cell.journal()?;
        measured.map_err(|error| error.context(journal))
    })
    .await?;
    Ok(figures.0)
}

async fn play(stage: &Stage<'_>, folder: &Utf8Path, figures: &mut Told) -> Result<()> {
    figures.extend([formatted(stage).await?]);
    act("200 instances of an image");
    let demo = stage.release("demo.oci.tar");
    stage.has_release(&demo).await?;
    let all = 0..PARTITIONS;
    let new = stage.process(all.clone(), &demo, "one").await?;
    let changed_image = stage.process(all.clone(), &demo, "two").await?;
    figures.extend(per_partition("image: a new partition", &new));
    figures.extend(per_partition("image: a changed partition", &changed_image));
    figures.extend(passes::measure(stage, "image").await?);
    figures.extend(storm::measure(stage, &demo).await?);
    figures.extend(promises::measure(stage).await?);
    figures.extend([destroyed(stage).await?]);

    act("200 instances of a buildout release");
    let web = stage.release("web.cfg");
    let built = stage.has_release(&web).await?;
    let built = Figure::watched("buildout: the release is built", built, "s");
    figures.extend([built]);
    let new = stage.process(all.clone(), &web, "red").await?;
    let changed = stage.process(all, &web, "blue").await?;
    figures.extend(per_partition("buildout: a new partition", &new));
    figures.extend(per_partition("buildout: a changed partition", &changed));
    figures.extend(passes::measure(stage, "buildout").await?);
    let original = original::measure(stage, &web, folder).await?;
    figures.extend(original.figures(&changed_image, &new, &changed));
    Ok(())
}

async fn formatted(stage: &Stage<'_>) -> Result<Figure> {
    let seconds = stage.is_formatted().await?;
    Ok(Figure::at_most(
        2.0,
        "200 partitions of a box are made",
        seconds,
        "s",
    ))
}

async fn destroyed(stage: &Stage<'_>) -> Result<Figure> {
    let seconds = stage.destroy_all().await?;
    let each = seconds * 1e3 / f64::from(PARTITIONS);
    Ok(Figure::watched("image: a destroyed partition", each, "ms"))
}

/// What one partition took of the time that all took, since several are worked on at once; and of the processors.
fn per_partition(name: &str, processed: &Processed) -> [Figure; 4] {
    let [all, agent, systemd] = processed.cpu_each();
    let part =
        |what: &str, seconds: f64| Figure::watched(&format!("{name}{what}"), seconds * 1e3, "ms");
    [
        part("", processed.each()),
        part(", processor time", all),
        part(", of that the agent", agent),
        part(", of that systemd", systemd),
    ]
}
