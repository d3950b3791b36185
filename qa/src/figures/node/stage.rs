//! A box that is measured, with its master and what it fetches from, and what is asked of it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::os::unix::fs::symlink;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use slap::{RequestedState, SupplyState};

use super::PARTITIONS;
use crate::archive::Image;
use crate::cell::Cell;
use crate::eventually::{eventually, minutes, seconds};
use crate::load::number;
use crate::open_master::{OpenMaster, Wish};
use crate::product::Product;
use crate::releases;
use crate::shelf::Shelf;
use crate::slapproxy::document;
use crate::story::act;

/// What each partition has five of: looks that cost next to nothing themselves, and are counted.
const FIVE_PROMISES: &str = include_str!("five_promises.sh");
/// What makes an instance of the demonstration release.
const DEMO: &str = include_str!("../../../../image/demo/mkosi.extra/slapos/instantiate");

/// A box, its master, and a shelf of releases.
pub(super) struct Stage<'a> {
    pub(super) cell: &'a Cell,
    pub(super) master: OpenMaster<'a>,
    pub(super) python: Utf8PathBuf,
    _shelf: Shelf,
}

/// Instances that were brought to what was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Processed {
    /// From asking for the first to the end of the last, in seconds.
    seconds: f64,
    /// The processor time that the box took, in seconds, and the agent's and the service manager's parts of it.
    cpu: [f64; 3],
    count: usize,
}

/// The control groups of the box, of the agent and of the service manager.
const CPU: [&str; 3] = [".", "system.slice/slapbox-agent.service", "init.scope"];

impl Processed {
    /// Seconds a partition.
    pub(super) fn each(&self) -> f64 {
        self.seconds / number(self.count)
    }

    /// Seconds of processor time a partition: of everything, of the agent, of the service manager.
    pub(super) fn cpu_each(&self) -> [f64; 3] {
        self.cpu.map(|seconds| seconds / number(self.count))
    }
}

/// Boots a box for the bench, and plays.
pub(super) async fn play(
    product: &Product,
    python: &Utf8Path,
    folder: &Utf8Path,
    story: impl AsyncFnOnce(&Stage<'_>) -> Result<()>,
) -> Result<()> {
    let things = folder.join("shelf");
    releases::lay_out(python, &things, &Shelf::address(""))?;
    for archive in [&product.demo, &product.builder] {
        let name = archive.file_name().context("an archive has a name")?;
        symlink(archive, things.join(name)).with_context(|| format!("cannot lay out {name}"))?;
    }
    let five = format!("{DEMO}{FIVE_PROMISES}");
    Image::of(&product.demo)?
        .with_programs(&[("slapos/instantiate", &five)])?
        .write(&things.join("five.oci.tar"))?;
    let builder = format!("builder = \"{}\"", Shelf::address("builder.oci.tar"));
    let document = document(PARTITIONS, &builder);
    let cell = Cell::boot(&product.usr, &document, &folder.join("box")).await?;
    let stage = Stage {
        cell: &cell,
        master: OpenMaster::start(&cell, folder).await?,
        _shelf: Shelf::open(&cell, python, &things, &folder.join("shelf.log")).await?,
        python: python.to_owned(),
    };
    story(&stage).await
}

impl Stage<'_> {
    /// The URL of something on the shelf.
    pub(super) fn release(&self, file: &str) -> String {
        Shelf::address(file)
    }

    /// Waits for the partitions, and says how long the agent took to make them.
    pub(super) async fn is_formatted(&self) -> Result<f64> {
        let made = eventually("the box has its partitions", async || {
            let status = self.status()?;
            let partitions = &status["partitions"];
            ensure!(partitions["ready"] == PARTITIONS, "{partitions}");
            partitions["seconds"].as_f64().context("no time is told")
        });
        let seconds = made.within(minutes(1)).await?;
        self.master.knows_partitions(PARTITIONS).await?;
        Ok(seconds)
    }

    /// Has the box install a release, and says how long that took.
    pub(super) async fn has_release(&self, release: &str) -> Result<f64> {
        act(format_args!("install {release}"));
        let begun = now();
        self.master.supply(release, SupplyState::Available).await?;
        eventually(format!("{release} is there"), async || {
            let status = self.status()?;
            let word = &status["software"][release];
            ensure!(word == "available", "{word}, {}", status["failures"]);
            Ok(())
        })
        .within(minutes(5))
        .await?;
        Ok(now() - begun)
    }

    /// Wants the instances with these numbers, with another parameter than before, and waits until each was processed.
    pub(super) async fn process(
        &self,
        numbers: Range<u16>,
        release: &str,
        parameter: &str,
    ) -> Result<Processed> {
        act(format_args!("{} instances say {parameter}", numbers.len()));
        let wishes: Vec<Wish> = numbers
            .map(|number| {
                let parameters = [("greeting", parameter), ("color", parameter)];
                Wish::started(&title(number), release, &parameters)
            })
            .collect();
        let before = self.spent()?;
        let begun = now();
        self.master.request_all(&wishes).await?;
        let wanted = self.orders(&wishes).await?;
        eventually("all are processed", async || {
            let found = self.notes()?;
            let done = wanted.iter().filter(|(partition, order)| {
                let note = found.get(*partition);
                note.is_some_and(|note| note == *order)
            });
            let done = done.count();
            let failures = &self.status()?["failures"];
            ensure!(done == wanted.len(), "{done} are; failures: {failures}");
            Ok(())
        })
        .within(minutes(10))
        .await?;
        let ended = self.last_note()?;
        let after = self.spent()?;
        Ok(Processed {
            seconds: ended - begun,
            cpu: std::array::from_fn(|part| after[part] - before[part]),
            count: wishes.len(),
        })
    }

    /// Wants no instance any more, and says how long it takes until the master has heard that they are gone.
    pub(super) async fn destroy_all(&self) -> Result<f64> {
        act("destroy all instances");
        let release = self.release("five.oci.tar");
        let wishes: Vec<Wish> = (0..PARTITIONS)
            .map(|number| Wish::started(&title(number), &release, &[]))
            .map(|wish| wish.that_is(RequestedState::Destroyed))
            .collect();
        let begun = now();
        self.master.request_all(&wishes).await?;
        eventually("all partitions are free", async || {
            let busy = self.busy().await?;
            ensure!(busy == 0, "{busy} are not");
            Ok(())
        })
        .within(minutes(5))
        .await?;
        Ok(now() - begun)
    }

    async fn busy(&self) -> Result<usize> {
        let computer = self.master.computer().await?;
        let busy = computer.partitions.iter();
        Ok(busy.filter(|it| it.occupant.is_some()).count())
    }

    /// The timestamps of what the master wants, by partition.
    async fn orders(&self, wishes: &[Wish]) -> Result<BTreeMap<String, String>> {
        let computer = self.master.computer().await?;
        let busy = computer.partitions.iter().filter_map(|partition| {
            let parameters = &partition.occupant.as_ref()?.parameters;
            let is_meant = |wish: &Wish| wish.title == parameters.instance_title;
            let order = parameters.timestamp.0.clone();
            let partition = partition.id.to_string();
            wishes.iter().any(is_meant).then_some((partition, order))
        });
        let orders: BTreeMap<_, _> = busy.collect();
        let count = orders.len();
        ensure!(count == wishes.len(), "the master has {count} of them");
        Ok(orders)
    }

    /// What the box has noted as processed, by partition.
    fn notes(&self) -> Result<BTreeMap<String, String>> {
        let said = self.shell("cd /srv/slapgrid && grep -H . slappart*/.timestamp || true")?;
        let notes = said.lines().filter_map(|line| {
            let (path, order) = line.split_once(':')?;
            let partition = path.split('/').next()?;
            Some((partition.to_owned(), order.to_owned()))
        });
        Ok(notes.collect())
    }

    /// When the last note was made, in seconds since 1970.
    fn last_note(&self) -> Result<f64> {
        let said = self.shell("stat -c %.6Y /srv/slapgrid/slappart*/.timestamp")?;
        let times = said.lines().filter_map(|line| line.parse::<f64>().ok());
        times.reduce(f64::max).context("nothing is noted")
    }

    /// How the box says that it is.
    pub(super) fn status(&self) -> Result<serde_json::Value> {
        let text = self.cell.text("/run/slapbox/status.json")?;
        serde_json::from_str(&text).context("its status is no JSON")
    }

    /// Runs a line of shell in the box.
    pub(super) fn shell(&self, line: &str) -> Result<String> {
        self.cell.namespace().run(&["sh", "-c", line])
    }

    /// Waits until nothing is at work and all that shall run runs.
    pub(super) async fn is_calm(&self) -> Result<()> {
        eventually("all 200 run and nothing is at work", async || {
            let status = self.status()?;
            let instances = &status["instances"];
            let calm = instances["started"] == PARTITIONS && instances["pending"] == 0;
            ensure!(calm, "{instances}, {}", status["failures"]);
            Ok(())
        })
        .within(seconds(120))
        .await
    }

    fn spent(&self) -> Result<[f64; 3]> {
        let [all, agent, systemd] = CPU;
        Ok([self.cpu(all)?, self.cpu(agent)?, self.cpu(systemd)?])
    }

    /// The processor time that control groups took until now, in seconds; a star stands for any.
    pub(super) fn cpu(&self, groups: &str) -> Result<f64> {
        let said = self.shell(&format!("cat /sys/fs/cgroup/{groups}/cpu.stat"))?;
        let micros = said
            .lines()
            .filter_map(|line| line.strip_prefix("usage_usec "))
            .filter_map(|value| value.parse::<f64>().ok());
        Ok(micros.sum::<f64>() / 1e6)
    }
}

/// What the instance with this number is called.
fn title(number: u16) -> String {
    format!("site {number}")
}

/// Seconds since 1970, as the box has them, too.
pub(super) fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
