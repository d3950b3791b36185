//! Two releases have a part in common that is compiled: once. It is what their instances run, it outlives half a build and the
//! release that brought it, and goes with the last one that has it. Releases that the master has forgotten go when nobody needs them.

use anyhow::{Context as _, Result, ensure};
use camino::Utf8Path;
use slapbox_qa::eventually::{eventually, minutes, seconds};
use slapbox_qa::files::put;
use slapbox_qa::product;
use slapbox_qa::shelf::Shelf;
use slapbox_qa::slapproxy::COMPUTER;
use slapbox_qa::story::act;

use crate::asked::ends;
use crate::slapproxy::{Site, Stage, play};

const SOFTWARE: &str = "/srv/slapgrid/software";
const SHARED: &str = "/srv/slapgrid/software/.shared";
/// What somebody has begun to build once, and nobody knows any more.
const STRAY: &str = "00000000000000000000000000000000";
/// What a recipe writes last.
const COMPLETE: &str = ".buildout-shared.json";

#[tokio::test]
async fn releases_share_what_they_are_built_of() -> Result<()> {
    let builder = format!("builder = \"{}\"", Shelf::address("builder.oci.tar"));
    play("shared-parts", &builder, async |stage, product| {
        if !product.builder.exists() {
            return product::skip("shared parts", "`cargo image builder` makes the builder");
        }
        let things = product::target()?.join("qa/shared-parts/shelf");
        let (first, second) = (
            stage.shelf.url("shared-one.cfg"),
            stage.shelf.url("shared-two.cfg"),
        );
        let site = |title, release| Site {
            title,
            release,
            parameter: "color=red".to_owned(),
        };
        let (one, two) = (site("one", &first), site("two", &second));

        stage.builds_in_two_halves(&first, &things).await?;
        let made = stage.made("tiny")?;
        let url = stage.starts_with_the_part(&one).await?;
        stage.is_processed_again(&url).await?;

        stage.supply_another(&second).await?;
        stage.has_made_once(&made)?;
        stage.starts_with_the_part(&two).await?;

        stage.stop(&one, &url).await?;
        stage.destroy(&one, &[]).await?;
        stage.removes(&first).await?;
        ends(stage.cell, &["prune"], 0, "every shared part has a release")?;
        stage.has_made_once(&made)?;
        stage.builds_again(&second).await?;
        stage.has_made_once(&made)?;

        stage.loses(&second, &two).await
    })
    .await
}

impl Stage<'_> {
    /// Has the box build a release, and kills its agent when half of the part is there.
    async fn builds_in_two_halves(&mut self, release: &str, things: &Utf8Path) -> Result<()> {
        let hold = things.join("hold");
        put(&hold, "")?;
        self.proxy.slapos(&["supply", release, COMPUTER])?;
        self.cell.looks_again()?;
        eventually("half of the part is there", async || {
            self.part("tiny").map(drop)
        })
        .within(minutes(3))
        .await?;
        let complete = format!("{}/{COMPLETE}", self.part("tiny")?);
        let is_there = self.cell.namespace().run(&["test", "-e", &complete]);
        ensure!(is_there.is_err(), "half of it counts as all of it");
        let building = "a release is being built or fetched: ask again when it is done";
        ends(self.cell, &["prune"], 255, building)?;
        act("kill the agent");
        let kill = [
            "systemctl",
            "kill",
            "--signal=KILL",
            "slapbox-agent.service",
        ];
        self.cell.namespace().run(&kill)?;
        std::fs::remove_file(&hold).with_context(|| format!("cannot remove {hold}"))?;
        let begun = [
            "loadComputerConfigurationFromXML",
            "buildingSoftwareRelease",
        ];
        let told = [&begun[..], &begun, &["availableSoftwareRelease"]].concat();
        self.proxy.hears(&told).await?;
        self.cell.namespace().run(&["test", "-e", &complete])?;
        Ok(())
    }

    /// Supplies one more release, and waits until the box has it.
    pub(crate) async fn supply_another(&mut self, release: &str) -> Result<()> {
        self.proxy.slapos(&["supply", release, COMPUTER])?;
        self.cell.looks_again()?;
        let told = ["buildingSoftwareRelease", "availableSoftwareRelease"];
        self.proxy.hears(&told).await
    }

    async fn starts_with_the_part(&mut self, site: &Site<'_>) -> Result<String> {
        self.start(site).await?;
        let url = self.published(site)?;
        self.says(&url, "red").await?;
        Ok(url)
    }

    /// Both releases have the part that the first one made; nobody may alter it any more.
    fn has_made_once(&self, made: &str) -> Result<()> {
        ensure!(self.made("tiny")? == made, "the part was made again");
        ensure!(self.made("more")? != made, "another part is the same");
        let others = ["find", SHARED, "!", "-uid", "0"];
        let others = self.cell.namespace().run(&others)?;
        ensure!(others.is_empty(), "these are not root's: {others}");
        Ok(())
    }

    /// What is processed is processed again when somebody asks, and goes on meanwhile.
    async fn is_processed_again(&mut self, url: &str) -> Result<()> {
        let note = [
            "stat",
            "--format=%Y %i",
            "/srv/slapgrid/slappart0/.timestamp",
        ];
        let before = self.cell.namespace().run(&note)?;
        let only = ["instance", "--only-cp", "slappart0"];
        ends(self.cell, &only, 0, "1 instances are started")?;
        ensure!(self.cell.namespace().run(&note)? == before, "nobody asked");
        let again = [&only[..], &["--force"]].concat();
        ends(self.cell, &again, 0, "1 instances are started")?;
        ensure!(
            self.cell.namespace().run(&note)? != before,
            "nothing was done"
        );
        self.says(url, "red").await?;

        // The release says how often, and a minute is the least.
        let every = "echo 0 > $(readlink /srv/slapgrid/slappart0/software_release)/periodicity";
        self.shell(every)?;
        let before = self.cell.namespace().run(&note)?;
        let long_ago = [
            "touch",
            "--date=61 seconds ago",
            "/srv/slapgrid/slappart0/.timestamp",
        ];
        self.cell.namespace().run(&long_ago)?;
        ends(self.cell, &only, 0, "1 instances are started")?;
        ensure!(
            self.cell.namespace().run(&note)? != before,
            "its time was over"
        );
        let never = every.replace("echo 0", "echo -1");
        self.shell(&never)?;
        Ok(())
    }

    /// Removes one release of several; what it shared with others stays.
    async fn removes(&mut self, release: &str) -> Result<()> {
        self.proxy.slapos(&["remove", release, COMPUTER])?;
        self.cell.looks_again()?;
        self.proxy.hears(&["destroyedSoftwareRelease"]).await
    }

    async fn builds_again(&mut self, release: &str) -> Result<()> {
        let again = ["software", "--force", "--only-sr", release];
        ends(self.cell, &again, 0, "1 releases are built again")?;
        let told = ["buildingSoftwareRelease", "availableSoftwareRelease"];
        self.proxy.hears(&told).await
    }

    /// What the master has forgotten stays as long as an instance has it, and then goes with what it shared.
    async fn loses(&mut self, release: &str, site: &Site<'_>) -> Result<()> {
        self.proxy.forgets(release).await?;
        let collect = ["software", "--garbage-collect"];
        ends(
            self.cell,
            &collect,
            0,
            "no release is there that nobody needs",
        )?;
        let url = self.published(site)?;
        self.says(&url, "red").await?;
        self.proxy
            .slapos(&["request", site.title, release, "--state", "destroyed"])?;
        ends(self.cell, &["report"], 0, "the master has been told")?;
        // Nobody has wanted it for a moment only.
        ends(self.cell, &["software"], 0, "0 releases are as wanted")?;
        ensure!(self.part("more").is_ok(), "its parts have gone");
        self.goes_after_days().await?;
        eventually("nothing of it is left", async || {
            let left = format!("! ls -d {SOFTWARE}/*/bin/buildout {SHARED}");
            self.shell(&left).map(drop)
        })
        .within(seconds(30))
        .await?;
        self.shell(&format!(
            "mkdir {SOFTWARE}/{STRAY} && touch {SOFTWARE}/{STRAY}/buildout.cfg"
        ))?;
        ends(self.cell, &collect, 0, &format!("removed {STRAY}"))?;
        // The builder of this box is needed, whoever was built in it.
        ends(
            self.cell,
            &collect,
            0,
            "no release is there that nobody needs",
        )?;
        self.shell(&format!("test -d {SOFTWARE}/*/rootfs"))?;
        Ok(())
    }

    /// Seven days pass while the agent is away, but for a moment.
    async fn goes_after_days(&self) -> Result<()> {
        const IDLE: &str = "/srv/slapgrid/software/.idle.json";
        let agent = |verb: &str| {
            let systemctl = ["systemctl", verb, "slapbox-agent.service"];
            self.cell.namespace().run(&systemctl)
        };
        // slapproxy gives the partition up when it has heard that nothing is left in it.
        eventually("nobody wants it", async || {
            self.cell.looks_again()?;
            self.cell.text(IDLE).map(drop)
        })
        .within(seconds(30))
        .await?;
        agent("stop")?;
        let found = self.cell.text(IDLE)?;
        let mut idle: serde_json::Value = serde_json::from_str(&found)?;
        let seconds = idle["seconds"].as_object_mut().context("no seconds")?;
        ensure!(seconds.len() == 1, "more than one is idle: {found}");
        for passed in seconds.values_mut() {
            *passed = (7 * 24 * 3600 - 1).into();
        }
        self.shell(&format!("echo '{idle}' > {IDLE}"))?;
        ends(self.cell, &["plan"], 0, "nothing is to be done")?;
        for passed in idle["seconds"].as_object_mut().into_iter().flatten() {
            *passed.1 = (7 * 24 * 3600).into();
        }
        self.shell(&format!("echo '{idle}' > {IDLE}"))?;
        ends(self.cell, &["plan"], 0, ", which nobody wants")?;
        agent("start").map(drop)
    }

    fn shell(&self, line: &str) -> Result<String> {
        self.cell.namespace().run(&["sh", "-c", line])
    }

    /// The folder of the one part of a name that has a program.
    fn part(&self, name: &str) -> Result<String> {
        let list = format!("ls -d {SHARED}/{name}/*/bin/tiny");
        let found = self.shell(&list)?;
        let path = found.trim().strip_suffix("/bin/tiny");
        path.map(str::to_owned)
            .with_context(|| format!("not one part: {found}"))
    }

    /// What tells one compilation of a part from another.
    fn made(&self, name: &str) -> Result<String> {
        let part = self.part(name)?;
        self.cell.text(&format!("{part}/made"))
    }
}
