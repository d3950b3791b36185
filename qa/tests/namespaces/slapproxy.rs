//! A box is the node of the original's own master, slapproxy, and runs what the original's command requests of it: an image, and what
//! it builds itself with buildout.

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use slapbox_qa::cell::Cell;
use slapbox_qa::eventually::{eventually, seconds};
use slapbox_qa::product::{self, Product};
use slapbox_qa::releases;
use slapbox_qa::shelf::Shelf;
use slapbox_qa::slapproxy::{COMPUTER, Slapproxy, document};

use crate::in_a_box::in_a_box;

/// A box with what it is asked by and what it fetches from.
pub(crate) struct Stage<'a> {
    pub(crate) cell: &'a Cell,
    pub(crate) proxy: Slapproxy<'a>,
    pub(crate) shelf: Shelf,
    pub(crate) python: Utf8PathBuf,
}

/// What is requested: a title, a release and one parameter.
pub(crate) struct Site<'a> {
    pub(crate) title: &'a str,
    pub(crate) release: &'a str,
    pub(crate) parameter: String,
}

#[tokio::test]
async fn a_box_lives_through_an_instance_with_slapproxy() -> Result<()> {
    play("slapproxy-image", "", async |stage, _product| {
        let release = stage.shelf.url("demo.oci.tar");
        stage.supply(&release).await?;
        let greeting = "Hello from the original";
        let site = Site {
            title: "site",
            release: &release,
            parameter: format!("greeting={greeting}"),
        };
        stage.start(&site).await?;
        let url = stage.published(&site)?;
        stage.says(&url, greeting).await?;
        stage.stop(&site, &url).await?;
        stage.destroy(&site, &[]).await?;
        stage.remove(&release).await
    })
    .await
}

#[tokio::test]
async fn a_box_builds_software_and_runs_it() -> Result<()> {
    let builder = format!("builder = \"{}\"", Shelf::address("builder.oci.tar"));
    play("slapproxy-buildout", &builder, async |stage, product| {
        if !product.builder.exists() {
            return product::skip(
                "building software",
                "`cargo image builder` makes the builder",
            );
        }
        let release = stage.shelf.url("web.cfg");
        stage.supply(&release).await?;
        let mut site = Site {
            title: "page",
            release: &release,
            parameter: "color=red".to_owned(),
        };
        stage.start(&site).await?;
        let url = stage.published(&site)?;
        stage.says(&url, "red").await?;
        site.parameter = "color=blue".to_owned();
        stage.start(&site).await?;
        stage.says(&url, "blue").await?;
        stage.survives_a_crash(&url, "blue").await?;
        stage.says_when_a_promise_is_broken().await?;

        // What cannot be built is reported with what buildout said, and disturbs nobody.
        let broken = stage.shelf.url("broken.cfg");
        stage.proxy.slapos(&["supply", &broken, COMPUTER])?;
        stage.cell.looks_again()?;
        let told = ["buildingSoftwareRelease", "softwareReleaseError"];
        stage.proxy.hears(&told).await?;
        eventually("the box says what is wrong with it", async || {
            let status = stage.cell.text("/run/slapbox/status.json")?;
            ensure!(status.contains("'nowhere', was not defined"), "{status}");
            Ok(())
        })
        .within(seconds(10))
        .await?;
        stage.says(&url, "blue").await?;
        stage.proxy.slapos(&["remove", &broken, COMPUTER])?;
        stage.cell.looks_again()?;
        stage.proxy.hears(&["destroyedSoftwareRelease"]).await?;

        stage.stop(&site, &url).await?;
        // Its release has a report, which says for the last time what it used.
        stage.destroy(&site, &["useComputer"]).await
    })
    .await
}

/// Boots a box for slapproxy, plays, and holds that nothing is left.
pub(crate) async fn play(
    name: &str,
    more: &str,
    story: impl AsyncFnOnce(&mut Stage<'_>, &Product) -> Result<()>,
) -> Result<()> {
    let document = document(10, more);
    in_a_box(name, &document, async |cell, product, python, folder| {
        stage_and_play(cell, product, python, folder, story).await
    })
    .await
}

async fn stage_and_play(
    cell: &Cell,
    product: &Product,
    python: Utf8PathBuf,
    folder: &Utf8Path,
    story: impl AsyncFnOnce(&mut Stage<'_>, &Product) -> Result<()>,
) -> Result<()> {
    let things = folder.join("shelf");
    releases::lay_out(&python, &things, &Shelf::address(""))?;
    for archive in [&product.demo, &product.builder] {
        let name = archive.file_name().context("an archive has a name")?;
        std::os::unix::fs::symlink(archive, things.join(name))?;
    }
    let log = folder.join("shelf.log");
    let mut stage = Stage {
        cell,
        proxy: Slapproxy::start(cell, &python, folder).await?,
        shelf: Shelf::open(cell, &python, &things, &log).await?,
        python,
    };
    story(&mut stage, product).await
}

impl Stage<'_> {
    /// Supplies the first release, and waits until the box has it.
    pub(crate) async fn supply(&mut self, release: &str) -> Result<()> {
        self.proxy.slapos(&["supply", release, COMPUTER])?;
        self.cell.looks_again()?;
        let told = [
            "loadComputerConfigurationFromXML",
            "buildingSoftwareRelease",
            "availableSoftwareRelease",
        ];
        self.proxy.hears(&told).await
    }

    fn request(&self, site: &Site<'_>, more: &[&str]) -> Result<String> {
        let words = ["request", site.title, site.release];
        let parameters = ["--parameters", site.parameter.as_str()];
        self.proxy.slapos(&[&words[..], &parameters, more].concat())
    }

    pub(crate) async fn start(&mut self, site: &Site<'_>) -> Result<()> {
        self.request(site, &[])?;
        self.cell.looks_again()?;
        let told = [
            "setComputerPartitionConnectionXml",
            "startedComputerPartition",
        ];
        self.proxy.hears(&told).await
    }

    /// A service that ends is started again, and its tree hears of it.
    async fn survives_a_crash(&mut self, url: &str, wanted: &str) -> Result<()> {
        let kill = [
            "systemctl",
            "kill",
            "--signal=KILL",
            "slappart0-web.service",
        ];
        self.cell.namespace().run(&kill)?;
        self.proxy.hears(&["softwareInstanceBang"]).await?;
        self.says(url, wanted).await?;
        // slapproxy wants all of the tree looked at again.
        self.cell.looks_again()?;
        self.proxy.hears(&["startedComputerPartition"]).await
    }

    /// The promise, a Python module of the release, bangs, and the box reports what it says.
    async fn says_when_a_promise_is_broken(&mut self) -> Result<()> {
        let broken = "/srv/slapgrid/slappart0/www/broken";
        self.cell.namespace().run(&["touch", broken])?;
        self.cell.looks_again()?;
        let told = ["softwareInstanceBang", "softwareInstanceError"];
        self.proxy.hears(&told).await?;
        let results = "/srv/slapgrid/slappart0/.slapgrid/promise/result";
        let result = self.cell.text(&format!("{results}/page.status.json"))?;
        let result: serde_json::Value = serde_json::from_str(&result)?;
        ensure!(
            result["result"]["type"] == "Anomaly Result"
                && result["result"]["failed"] == true
                && result["result"]["message"] == "the page is out of order: somebody broke it",
            "{result}"
        );
        self.cell.namespace().run(&["rm", broken])?;
        self.cell.looks_again()?;
        self.proxy.hears(&["startedComputerPartition"]).await
    }

    /// Takes the URL out of what `slapos request` prints.
    pub(crate) fn published(&self, site: &Site<'_>) -> Result<String> {
        let told = self.request(site, &[])?;
        let url = told
            .split_once("'url': '")
            .and_then(|(_, rest)| rest.split('\'').next());
        url.map(str::to_owned)
            .with_context(|| format!("it publishes no url: {told}"))
    }

    pub(crate) async fn says(&self, url: &str, wanted: &str) -> Result<()> {
        eventually(format!("{url} says {wanted}"), async || {
            let page = self.cell.page(&self.python, url)?;
            ensure!(page.contains(wanted), "it says {page}");
            Ok(())
        })
        .within(seconds(20))
        .await
    }

    pub(crate) async fn stop(&mut self, site: &Site<'_>, url: &str) -> Result<()> {
        self.request(site, &["--state", "stopped"])?;
        self.cell.looks_again()?;
        self.proxy.hears(&["stoppedComputerPartition"]).await?;
        ensure!(
            self.cell.page(&self.python, url).is_err(),
            "what is stopped answers"
        );
        Ok(())
    }

    /// Destroys an instance, which has something to say before, or not.
    pub(crate) async fn destroy(&mut self, site: &Site<'_>, says: &[&str]) -> Result<()> {
        self.request(site, &["--state", "destroyed"])?;
        self.cell.looks_again()?;
        let gone = ["stoppedComputerPartition", "destroyedComputerPartition"];
        let told = [says, &gone].concat();
        self.proxy.hears(&told).await?;
        let partition = "/srv/slapgrid/slappart0";
        self.cell.holds_only(partition, &[".slapos-resource"])
    }

    pub(crate) async fn remove(&mut self, release: &str) -> Result<()> {
        self.proxy.slapos(&["remove", release, COMPUTER])?;
        self.cell.looks_again()?;
        self.proxy.hears(&["destroyedSoftwareRelease"]).await?;
        self.cell.holds_only("/srv/slapgrid/software", &[])
    }
}
