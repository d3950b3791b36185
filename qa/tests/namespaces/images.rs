//! A box runs stock images unmodified: one of them twice on the same low port, another from a registry as a named user, with volumes that
//! outlive restarts, and with nothing of the node in their hands.

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use slapbox_qa::cell::Cell;
use slapbox_qa::eventually::{eventually, seconds};
use slapbox_qa::product::{self, Product};
use slapbox_qa::registry::{self, Registry};
use slapbox_qa::shelf::Shelf;
use slapbox_qa::slapproxy::{COMPUTER, Slapproxy, document};
use slapbox_qa::stock::{self, StartsAs};

use crate::in_a_box::in_a_box;

/// A box with who asks it, and what it fetches from.
struct Stage<'a> {
    cell: &'a Cell,
    proxy: Slapproxy<'a>,
    python: Utf8PathBuf,
    _shelf: Shelf,
}

#[tokio::test]
async fn a_box_runs_stock_images() -> Result<()> {
    const NAME: &str = "stock-images";
    if !registry::program()?.exists() {
        return product::skip(NAME, "`cargo qa test` unpacks docker-registry");
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
    std::fs::create_dir(&things)?;
    let variants = [("root", StartsAs::Root), ("user", StartsAs::WwwData)];
    for (name, starts_as) in variants {
        stock::make(
            &product.demo,
            &things.join(format!("{name}.oci.tar")),
            starts_as,
        )?;
    }
    let mut stage = Stage {
        cell,
        proxy: Slapproxy::start(cell, &python, folder).await?,
        _shelf: Shelf::open(cell, &python, &things, &folder.join("shelf.log")).await?,
        python,
    };
    let registry = Registry::start(cell, &stage.python, folder).await?;
    let as_root = Shelf::address("root.oci.tar");
    let as_user = registry.push(&things.join("user.oci.tar"), "stock/nginx", "1")?;
    stage
        .supply(&as_root, &["loadComputerConfigurationFromXML"])
        .await?;
    stage.supply(&as_user, &[]).await?;
    let one = stage.start("one", &as_root, "Hello one").await?;
    let two = stage.start("two", &as_root, "Hello two").await?;
    let three = stage.start("three", &as_user, "Hello three").await?;
    stage.says(&format!("{one}/greeting"), "Hello one").await?;
    stage.says(&format!("{two}/greeting"), "Hello two").await?;
    for url in [&one, &two, &three] {
        stage.says(url, "from the image").await?;
    }
    stage
        .says(&format!("{three}/starts"), "Hello three")
        .await?;
    stage.holds_nothing_of_the_node(&one)?;
    stage.is_reached_if_it_knows_ipv4_only(&as_root).await?;
    stage.keeps_its_volume(&as_root, &one).await?;
    stage.survives(&two).await?;
    stage.says_what_cannot_be_told(&as_root).await?;
    for (title, release, url, partition) in [
        ("one", &as_root, &one, "slappart0"),
        ("two", &as_root, &two, "slappart1"),
        ("three", &as_user, &three, "slappart2"),
    ] {
        stage.destroy(title, release).await?;
        ensure!(
            stage.cell.page(&stage.python, url).is_err(),
            "what is destroyed answers"
        );
        let directory = format!("/srv/slapgrid/{partition}");
        cell.holds_only(&directory, &[".slapos-resource"])?;
    }
    nothing_is_left(cell)
}

fn nothing_is_left(cell: &Cell) -> Result<()> {
    cell.holds_only("/run/slapbox/containers", &[])?;
    // System calls as the kernel takes them, made once for all.
    cell.holds_only("/run/slapbox/crun", &[".cache"])?;
    let links = cell.namespace().run(&["ls", "/sys/class/net"])?;
    ensure!(!links.contains("slapveth"), "left of networks: {links}");
    let addresses = cell.text("/proc/net/if_inet6")?;
    let first = "fd123456789a00010000000000000002";
    ensure!(
        addresses.contains(first),
        "the first address is away: {addresses}"
    );
    Ok(())
}

impl Stage<'_> {
    async fn supply(&mut self, release: &str, before: &[&str]) -> Result<()> {
        self.proxy.slapos(&["supply", release, COMPUTER])?;
        self.cell.looks_again()?;
        let told = ["buildingSoftwareRelease", "availableSoftwareRelease"];
        self.proxy.hears(&[before, &told[..]].concat()).await
    }

    fn request(&self, title: &str, release: &str, more: &[&str]) -> Result<String> {
        self.proxy
            .slapos(&[&["request", title, release], more].concat())
    }

    /// Requests an instance; returns the URL that it publishes by itself.
    async fn start(&mut self, title: &str, release: &str, greeting: &str) -> Result<String> {
        let greeting = format!("GREETING={greeting}");
        let words = ["--parameters", greeting.as_str()];
        self.request(title, release, &words)?;
        self.cell.looks_again()?;
        let told = [
            "setComputerPartitionConnectionXml",
            "startedComputerPartition",
        ];
        self.proxy.hears(&told).await?;
        let told = self.request(title, release, &words)?;
        let url = told
            .split_once("'url': '")
            .and_then(|(_, rest)| rest.split('\'').next());
        url.map(str::to_owned)
            .with_context(|| format!("it publishes no url: {told}"))
    }

    async fn change(&mut self, title: &str, release: &str, greeting: &str) -> Result<()> {
        let greeting = format!("GREETING={greeting}");
        self.request(title, release, &["--parameters", &greeting])?;
        self.cell.looks_again()?;
        self.proxy.hears(&["startedComputerPartition"]).await
    }

    async fn destroy(&mut self, title: &str, release: &str) -> Result<()> {
        self.request(title, release, &["--state", "destroyed"])?;
        self.cell.looks_again()?;
        let told = ["stoppedComputerPartition", "destroyedComputerPartition"];
        self.proxy.hears(&told).await
    }

    /// One that listens on IPv4 alone is reached on its IPv6 all the same, also after it was started again.
    async fn is_reached_if_it_knows_ipv4_only(&mut self, release: &str) -> Result<()> {
        let words = ["--parameters", "LISTEN=0.0.0.0:80"];
        self.request("old", release, &words)?;
        self.cell.looks_again()?;
        let told = [
            "setComputerPartitionConnectionXml",
            "startedComputerPartition",
        ];
        self.proxy.hears(&told).await?;
        let url = "http://[fd12:3456:789a:1::5]";
        self.says(url, "from the image").await?;
        let bridges = [
            "systemctl",
            "list-units",
            "--plain",
            "--no-legend",
            "slapbridge-*.socket",
        ];
        let open = self.cell.namespace().run(&bridges)?;
        ensure!(
            open.lines().count() == 1 && open.starts_with("slapbridge-slappart3-port-80.socket"),
            "who listens on IPv6 is disturbed: {open}"
        );
        let crash = [
            "systemctl",
            "kill",
            "--signal=KILL",
            "slappart3-main.service",
        ];
        self.cell.namespace().run(&crash)?;
        self.proxy.hears(&["softwareInstanceBang"]).await?;
        self.says(url, "from the image").await?;
        self.cell.looks_again()?;
        self.proxy.hears(&["startedComputerPartition"]).await?;
        self.destroy("old", release).await?;
        let open = self.cell.namespace().run(&bridges)?;
        ensure!(open.is_empty(), "left of bridges: {open}");
        Ok(())
    }

    /// What it was told counts anew, what it kept stays, and what it wrote elsewhere is gone.
    async fn keeps_its_volume(&mut self, release: &str, url: &str) -> Result<()> {
        let born = self.cell.page(&self.python, &format!("{url}/born"))?;
        self.change("one", release, "Hello again").await?;
        self.says(&format!("{url}/greeting"), "Hello again").await?;
        self.says(&format!("{url}/starts"), "Hello one\nHello again")
            .await?;
        let still = self.cell.page(&self.python, &format!("{url}/born"))?;
        ensure!(still == born, "its volume was made anew: {still}");
        Ok(())
    }

    /// A container that crashes is back, and its tree hears of it.
    async fn survives(&mut self, url: &str) -> Result<()> {
        let crash = [
            "systemctl",
            "kill",
            "--signal=KILL",
            "slappart1-main.service",
        ];
        self.cell.namespace().run(&crash)?;
        self.proxy.hears(&["softwareInstanceBang"]).await?;
        self.says(&format!("{url}/starts"), "Hello two\nHello two")
            .await?;
        self.cell.looks_again()?;
        self.proxy.hears(&["startedComputerPartition"]).await
    }

    /// A parameter that is no variable's name is refused in words, and disturbs nobody.
    async fn says_what_cannot_be_told(&mut self, release: &str) -> Result<()> {
        self.request("four", release, &["--parameters", "my-greeting=x"])?;
        self.cell.looks_again()?;
        self.proxy.hears(&["softwareInstanceError"]).await?;
        eventually("the box says what is wrong with it", async || {
            let status = self.cell.text("/run/slapbox/status.json")?;
            let words = "its parameter `my-greeting` cannot be a variable";
            ensure!(status.contains(words), "{status}");
            Ok(())
        })
        .within(seconds(20))
        .await?;
        self.destroy("four", release).await
    }

    /// No process of the instance is root on the node, and none sees a file of it.
    fn holds_nothing_of_the_node(&self, url: &str) -> Result<()> {
        const USERS: &str = "for process in $(find /sys/fs/cgroup/slappart0.slice -name cgroup.procs -exec cat {} +); \
             do grep ^Uid: /proc/$process/status; done";
        let users = self.cell.namespace().run(&["sh", "-c", USERS])?;
        let users: Vec<&str> = users
            .split_whitespace()
            .filter(|word| *word != "Uid:")
            .collect();
        ensure!(users.len() >= 8, "there are no processes: {users:?}");
        ensure!(
            users
                .iter()
                .all(|user| user.parse::<u32>().is_ok_and(|user| user >= 20_000)),
            "it runs as {users:?}"
        );
        let facts = self.cell.page(&self.python, &format!("{url}/facts"))?;
        let line = |start: &str| facts.lines().find(|line| line.starts_with(start));
        for (start, wanted) in [
            ("NoNewPrivs:", "1"),
            ("Seccomp:", "2"),
            ("CapBnd:", "00000000000405fb"),
        ] {
            let found = line(start).and_then(|line| line.split_whitespace().nth(1));
            ensure!(
                found == Some(wanted),
                "{start} {found:?} instead of {wanted}"
            );
        }
        ensure!(
            facts.contains("STREAM localhost.localdomain"),
            "nobody tells it names: {facts}"
        );
        ensure!(
            !facts.contains("/srv/slapgrid "),
            "it sees partitions: {facts}"
        );
        Ok(())
    }

    async fn says(&self, url: &str, wanted: &str) -> Result<()> {
        eventually(format!("{url} says {wanted:?}"), async || {
            let page = self.cell.page(&self.python, url)?;
            ensure!(page.contains(wanted), "it says {page}");
            Ok(())
        })
        .within(seconds(20))
        .await
    }
}
