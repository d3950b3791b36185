//! A box with an innocent instance that is asked all the time, its master, and releases that go wrong.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use slap::SupplyState;
use slapbox_qa::archive::Image;
use slapbox_qa::cell::Cell;
use slapbox_qa::eventually::{eventually, minutes};
use slapbox_qa::files::empty_folder;
use slapbox_qa::load::{Target, get, pace};
use slapbox_qa::open_master::{OpenMaster, Wish};
use slapbox_qa::product::{self, Product};
use slapbox_qa::releases;
use slapbox_qa::shelf::Shelf;
use slapbox_qa::slapproxy::document;

use crate::in_a_box::what_it_takes;

/// What makes an instance of the demonstration release, and what then goes wrong.
const DEMO: &str = include_str!("../../../../image/demo/mkosi.extra/slapos/instantiate");
const MOOD: &str = include_str!("mood.sh");
const PARTITIONS: u16 = 10;
/// How often the innocent instance is asked, each second.
const PACE: u32 = 20;
/// More than it takes on a busy machine; less than a person would wait.
const PATIENCE: Duration = minutes(3);

/// A box in trouble.
pub(super) struct Stage<'a> {
    pub(super) cell: &'a Cell,
    pub(super) master: OpenMaster<'a>,
    /// What lies on the shelf.
    pub(super) things: Utf8PathBuf,
    pub(super) product: &'a Product,
    _shelf: Shelf,
}

/// Where it is played.
pub(super) struct Scene {
    pub(super) name: &'static str,
    /// Megabytes that `/srv` holds.
    pub(super) disk: Option<u32>,
    /// Whether software is built there.
    pub(super) builds: bool,
}

/// Boots a box with an innocent instance, plays, and holds that the innocent one answered all the time.
pub(super) async fn play(
    scene: Scene,
    story: impl AsyncFnOnce(&Stage<'_>) -> Result<()>,
) -> Result<()> {
    let name = scene.name;
    let Some((product, python)) = what_it_takes(name)? else {
        return Ok(());
    };
    if scene.builds && !product.builder.exists() {
        return product::skip(name, "`cargo image builder` makes the builder");
    }
    let folder = product::target()?.join("qa").join(name);
    let things = folder.join("shelf");
    empty_folder(&folder)?;
    empty_folder(&things)?;
    lay_out(&scene, &product, &python, &things)?;
    let builder = format!("builder = \"{}\"", Shelf::address("builder.oci.tar"));
    let document = document(PARTITIONS, if scene.builds { &builder } else { "" });
    let place = folder.join("box");
    let cell = match scene.disk {
        Some(megabytes) => Cell::boot_small(&product.usr, &document, &place, megabytes).await?,
        None => Cell::boot(&product.usr, &document, &place).await?,
    };
    let stage = Stage {
        cell: &cell,
        master: OpenMaster::start(&cell, &folder).await?,
        _shelf: Shelf::open(&cell, &python, &things, &folder.join("shelf.log")).await?,
        things,
        product: &product,
    };
    let played = stage.beside_the_innocent(story).await;
    let journal = cell.journal()?;
    played.map_err(|error| error.context(journal))
}

fn lay_out(scene: &Scene, product: &Product, python: &Utf8Path, things: &Utf8Path) -> Result<()> {
    if scene.builds {
        releases::lay_out(python, things, &Shelf::address(""))?;
        symlink(&product.builder, things.join("builder.oci.tar"))?;
    }
    symlink(&product.demo, things.join("demo.oci.tar"))?;
    Image::of(&product.demo)?
        .with_programs(&[("slapos/instantiate", &format!("{DEMO}{MOOD}"))])?
        .write(&things.join("moody.oci.tar"))
}

impl Stage<'_> {
    async fn beside_the_innocent(
        &self,
        story: impl AsyncFnOnce(&Stage<'_>) -> Result<()>,
    ) -> Result<()> {
        let demo = Shelf::address("demo.oci.tar");
        self.master.knows_partitions(PARTITIONS).await?;
        self.has_release("demo.oci.tar").await?;
        let innocent = Wish::started("innocent", &demo, &[("greeting", "all is well")]);
        self.master.request(&innocent).await?;
        self.is_as_wanted().await?;
        let address = self.address("innocent").await?;
        let end = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&end);
        let ask = async move || pace(&Target::plain(address), &get("/", ""), PACE, &told).await;
        let asked = self.cell.namespace().in_its_network(ask);
        let story = async {
            let played = story(self).await;
            end.store(true, Ordering::Relaxed);
            played
        };
        let (asked, played) = tokio::join!(asked, story);
        played?;
        let asked = asked?;
        ensure!(
            asked.errors == 0 && asked.good() > 0,
            "of {} calls the innocent instance did not answer {}",
            asked.good() + asked.errors,
            asked.errors
        );
        Ok(())
    }

    /// Where an instance says that it serves.
    pub(super) async fn address(&self, title: &str) -> Result<SocketAddr> {
        let computer = self.master.computer().await?;
        let occupants = computer.partitions.iter();
        let mut occupants = occupants.filter_map(|it| it.occupant.as_ref());
        let found = occupants.find(|it| it.parameters.instance_title == title);
        let url = found.and_then(|it| it.connection.get("url"));
        let address = url.and_then(|it| {
            let rest = it.strip_prefix("http://")?;
            rest.trim_end_matches('/').parse().ok()
        });
        address.with_context(|| format!("{title} publishes no URL"))
    }

    /// Supplies a release of the shelf, and waits until the box has it.
    pub(super) async fn has_release(&self, file: &str) -> Result<()> {
        let url = Shelf::address(file);
        self.master.supply(&url, SupplyState::Available).await?;
        self.hears_of_release(&url, "available").await
    }

    /// Waits until the master has heard something of a release.
    pub(super) async fn hears_of_release(&self, url: &str, words: &str) -> Result<()> {
        eventually(format!("the master hears of {url}: {words}"), async || {
            let heard = self.master.heard_of_release(url).await?;
            ensure!(heard.contains(words), "{heard}");
            Ok(())
        })
        .within(PATIENCE)
        .await
    }

    /// Waits until the master has heard something of a partition.
    pub(super) async fn hears_of_partition(&self, partition: &str, words: &str) -> Result<()> {
        let what = format!("the master hears of {partition}: {words}");
        eventually(what, async || {
            let heard = self.master.heard_of_partition(partition).await?;
            ensure!(heard.contains(words), "{heard}");
            Ok(())
        })
        .within(PATIENCE)
        .await
    }

    /// Waits until the box says that something is wrong.
    pub(super) async fn says(&self, subject: &str, words: &str) -> Result<()> {
        let what = format!("the box says of {subject}: {words}");
        eventually(what, async || {
            let failures = &self.status()?["failures"];
            let all = failures.as_array().context("no list")?;
            let said = all.iter().any(|failure| {
                let message = failure["message"].as_str().unwrap_or_default();
                failure["subject"] == subject && message.contains(words)
            });
            ensure!(said, "{failures}");
            Ok(())
        })
        .within(PATIENCE)
        .await
    }

    /// Waits until every instance is as the master wants it, and nothing is wrong.
    pub(super) async fn is_as_wanted(&self) -> Result<()> {
        eventually("all is as it is wanted, and nothing is wrong", async || {
            self.carried_out().await?;
            let status = self.status()?;
            let (failures, pending) = (&status["failures"], &status["instances"]["pending"]);
            let well = failures.as_array().is_some_and(Vec::is_empty) && *pending == 0;
            ensure!(well, "{failures}, {pending} pending");
            Ok(())
        })
        .within(PATIENCE)
        .await
    }

    /// Refuses unless all that the master wants was carried out.
    pub(super) async fn carried_out(&self) -> Result<()> {
        let wanted = self.orders().await?;
        let notes = self.notes()?;
        ensure!(wanted == notes, "wanted are {wanted:?}, noted {notes:?}");
        Ok(())
    }

    /// What the master wants last of each instance, by partition.
    async fn orders(&self) -> Result<BTreeMap<String, String>> {
        let computer = self.master.computer().await?;
        let orders = computer.partitions.iter().filter_map(|partition| {
            let occupant = partition.occupant.as_ref()?;
            let order = occupant.parameters.timestamp.0.clone();
            Some((partition.id.to_string(), order))
        });
        Ok(orders.collect())
    }

    /// What the box has carried out, by partition.
    fn notes(&self) -> Result<BTreeMap<String, String>> {
        let said = self.shell("cd /srv/slapgrid && grep -H . slappart*/.timestamp || true")?;
        let notes = said.lines().filter_map(|line| {
            let (path, order) = line.split_once(':')?;
            let partition = path.split('/').next()?;
            Some((partition.to_owned(), order.to_owned()))
        });
        Ok(notes.collect())
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
}

/// An instance of the release that goes wrong.
pub(super) fn moody(title: &str, fault: &str) -> Wish {
    let release = Shelf::address("moody.oci.tar");
    Wish::started(title, &release, &[("fault", fault), ("greeting", title)])
}
