//! What a box builds once it takes from its master's cache the next time, and runs; what was changed there it does not take, but builds.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use slap::forms::{RequestForm, SupplyForm};
use slap::state::SoftwareReport;
use slap::{ComputerId, RequestedState, SoftwareInstance, SupplyState};
use slapbox_qa::cell::Cell;
use slapbox_qa::certified_master::CertifiedMaster;
use slapbox_qa::eventually::{eventually, minutes, seconds};
use slapbox_qa::product::{self, Product};
use slapbox_qa::releases;
use slapbox_qa::shelf::Shelf;
use slapbox_qa::slapproxy::document;
use slapbox_qa::story::act;

use crate::in_a_box::in_a_box;

const NAME: &str = "cache";
const SOFTWARE: &str = "/srv/slapgrid/software";

/// A box with its master, and the release that it is to have.
struct Stage<'a> {
    cell: &'a Cell,
    master: CertifiedMaster<'a>,
    node: ComputerId,
    release: String,
    python: Utf8PathBuf,
    _shelf: Shelf,
}

#[tokio::test]
async fn what_was_built_once_is_taken_and_what_was_changed_is_built() -> Result<()> {
    let builder = product::target()?.join("image/builder/builder.oci.tar");
    if !builder.exists() {
        return product::skip(NAME, "`cargo image builder` makes the builder");
    }
    in_a_box(NAME, &document(10, ""), play).await
}

async fn play(
    cell: &Cell,
    product: &Product,
    python: Utf8PathBuf,
    folder: &Utf8Path,
) -> Result<()> {
    let things = folder.join("shelf");
    releases::lay_out(&python, &things, &Shelf::address(""))?;
    symlink(&product.builder, things.join("builder.oci.tar"))?;
    let shelf = Shelf::open(cell, &python, &things, &folder.join("shelf.log")).await?;
    let master = CertifiedMaster::start(cell, folder).await?;
    let builder = Shelf::address("builder.oci.tar");
    let before = format!("partitions = 5\nbuilder = \"{builder}\"");
    let node = master.has_node(&before, "[cache]\noffer = true\n").await?;
    let stage = Stage {
        cell,
        master,
        node,
        release: shelf.url("web.cfg"),
        python,
        _shelf: shelf,
    };

    act("build it, and be trusted too late");
    stage.comes().await?;
    let builds = stage.builds()?;
    ensure!(builds > 0, "nothing was built");
    stage
        .says("nobody takes it: a manager may decide otherwise (`slapbox computer trust COMP-1`)")
        .await?;
    stage.trusts().await?;
    // Another agent goes on at once.
    let restart = ["systemctl", "restart", "slapbox-agent.service"];
    cell.namespace().run(&restart)?;
    let archive = stage.is_offered().await?;

    act("take what was built");
    stage.goes().await?;
    stage.comes().await?;
    ensure!(
        stage.builds()? == builds,
        "what was offered was built again"
    );
    stage.serves().await?;

    act("change a byte of it");
    stage.goes().await?;
    spoil(&archive)?;
    stage.comes().await?;
    ensure!(stage.builds()? > builds, "what was changed was taken");
    stage
        .says("its archive is another than the one that was signed")
        .await?;
    stage.serves().await?;
    stage.goes().await?;
    // What was being offered is gone, too.
    eventually("nothing but the builder is left", async || {
        let left = cell.namespace().run(&["ls", "-A", SOFTWARE])?;
        let kept = [".content", ".shared"];
        let left = left.lines().filter(|name| !kept.contains(name));
        let left: Vec<&str> = left.collect();
        ensure!(left.len() == 1, "there are {left:?}");
        Ok(())
    })
    .within(minutes(2))
    .await
}

/// Changes a byte in the middle.
fn spoil(archive: &Utf8Path) -> Result<()> {
    let mut bytes = std::fs::read(archive).with_context(|| format!("cannot read {archive}"))?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    slapbox_qa::files::put(archive, bytes)
}

impl Stage<'_> {
    async fn supply(&self, state: SupplyState) -> Result<()> {
        let form = SupplyForm {
            url: self.release.clone(),
            computer: self.node.clone(),
            state,
        };
        let supply = async move |operator: slap::client::Client| operator.supply(&form).await;
        self.master.asks(supply).await?;
        self.cell.looks_again()
    }

    async fn trusts(&self) -> Result<()> {
        let node = self.node.clone();
        let trust =
            async move |operator: slap::client::Client| operator.set_trusted(&node, true).await;
        self.master.asks(trust).await
    }

    /// What the box last said of the release; nothing when it is gone.
    async fn heard(&self) -> Result<Option<(Option<SoftwareReport>, String)>> {
        let node = self.node.clone();
        let ask = async move |operator: slap::client::Client| operator.computer_status(&node).await;
        let software = self.master.asks(ask).await?.software;
        let release = software.into_iter().find(|it| it.url == self.release);
        Ok(release.map(|it| (it.reported_state, it.status)))
    }

    /// Wants the release, and waits until the box has it.
    async fn comes(&self) -> Result<()> {
        self.supply(SupplyState::Available).await?;
        eventually("the box has the release", async || {
            let heard = self.heard().await?;
            let is_there = matches!(&heard, Some((Some(SoftwareReport::Available), _)));
            ensure!(is_there, "the master has heard {heard:?}");
            Ok(())
        })
        .within(minutes(5))
        .await
    }

    /// Wants the release no more, and waits until nothing is left of it.
    async fn goes(&self) -> Result<()> {
        self.supply(SupplyState::Destroyed).await?;
        eventually("the release is gone", async || {
            let heard = self.heard().await?;
            let is_gone = matches!(&heard, None | Some((Some(SoftwareReport::Destroyed), _)));
            ensure!(is_gone, "the master has heard {heard:?}");
            Ok(())
        })
        .within(minutes(1))
        .await
    }

    /// How many units have built something so far.
    fn builds(&self) -> Result<usize> {
        let all = [
            "journalctl",
            "--no-pager",
            "--output=cat",
            "--identifier=systemd",
        ];
        let journal = self.cell.namespace().run(&all)?;
        let builds = journal.lines();
        Ok(builds
            .filter(|line| line.starts_with("Starting slapsoftware-"))
            .count())
    }

    /// Waits until the master keeps what was built; returns where.
    async fn is_offered(&self) -> Result<Utf8PathBuf> {
        eventually("the master keeps what was built", async || {
            let mut files = self.master.cache().read_dir_utf8()?;
            let file = files.next().context("nothing is there")??;
            Ok(file.into_path())
        })
        .within(minutes(2))
        .await
    }

    async fn says(&self, words: &str) -> Result<()> {
        eventually(format!("the box says: {words}"), async || {
            let status = self.cell.text("/run/slapbox/status.json")?;
            ensure!(status.contains(words), "{status}");
            Ok(())
        })
        .within(seconds(30))
        .await
    }

    async fn request(&self, state: RequestedState) -> Result<SoftwareInstance> {
        let form = RequestForm {
            project: None,
            requester: None,
            software_url: self.release.clone(),
            software_type: "default".into(),
            title: "page".parse().context("a title")?,
            shared: false,
            parameters: BTreeMap::from([("color".to_owned(), "red".to_owned())]),
            filter: BTreeMap::from([("computer_guid".to_owned(), self.node.to_string())]),
            state: Some(state),
        };
        let request = async move |operator: slap::client::Client| operator.request(&form).await;
        let instance = self.master.asks(request).await?;
        self.cell.looks_again()?;
        Ok(instance)
    }

    /// An instance of the release answers; then it is destroyed.
    async fn serves(&self) -> Result<()> {
        eventually("an instance of it answers", async || {
            let instance = self.request(RequestedState::Started).await?;
            let url = instance.connection.get("url");
            let page = self
                .cell
                .page(&self.python, url.context("it publishes no url")?)?;
            ensure!(page.contains("red"), "it says {page}");
            Ok(())
        })
        .within(minutes(2))
        .await?;
        self.request(RequestedState::Destroyed).await?;
        eventually("the instance is gone", async || {
            self.cell
                .holds_only("/srv/slapgrid/slappart0", &[".slapos-resource"])
        })
        .within(minutes(1))
        .await
    }
}
