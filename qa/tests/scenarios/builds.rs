//! A node runs what it has not built, and builds what it runs: a stock image unmodified, and a release of buildout in the builder that its
//! master publishes.

use anyhow::{Result, ensure};
use slapbox_qa::eventually::{eventually, minutes};
use slapbox_qa::instance::Release;
use slapbox_qa::lab::{Lab, scenario};
use slapbox_qa::master::Master;
use slapbox_qa::node::Node;
use slapbox_qa::operator::Wish;
use slapbox_qa::peer::Peer;
use slapbox_qa::seed::Seed;
use slapbox_qa::shelf::Shelf;
use slapbox_qa::stock::{self, StartsAs};
use slapbox_qa::{files, product, releases};

#[test]
fn a_node_runs_a_stock_image_and_builds_software() -> Result<()> {
    const NAME: &str = "builds";
    let python = match Peer::told_python() {
        Ok(python) => python,
        Err(missing) => return product::skip(NAME, &format!("{missing:#}")),
    };
    scenario(NAME, async |lab| {
        let things = lab.folder().join("shelf");
        files::empty_folder(&things)?;
        let log = lab.folder().join("shelf.log");
        let (_shelf, url) = Shelf::for_machines(&python, &things, &log).await?;
        releases::lay_out(&python, &things, &url)?;
        play(lab, &url).await
    })
}

async fn play(lab: &mut Lab, shelf: &str) -> Result<()> {
    let stock = lab.folder().join("stock.oci.tar");
    stock::make(&lab.product().demo, &stock, StartsAs::Root)?;
    let master = lab.boot_master().await?;
    let seed = Seed::joining(&master.token().await?);
    let mut node = lab.boot_node("node-1", seed).await?;
    // Published while the node boots.
    master.publish(&lab.product().builder).await?;
    node.enrols_with(&master).await?;
    node.has_its_partitions(&master).await?;

    // Built while the image is tried.
    let small = Release {
        url: format!("{shelf}small.cfg"),
    };
    let hello = "Hello from a buildout";
    let page = master.request("page", &small, &node, hello).await?;
    let image = master.publish(&stock).await?;
    // What the image itself says.
    let stock = master
        .request("stock", &image, &node, "from the image")
        .await?;
    stock.is_reported_within("started", minutes(6)).await?;
    drop(stock.answers().await?);
    holds_the_greedy(&master, &node, &image).await?;

    page.is_reported_within("started", minutes(15)).await?;
    drop(page.answers().await?);
    stock.destroy().await?;
    page.destroy().await?;
    page.is_gone().await
}

/// What a stock image writes has many owners; together they get no more of the disk than the instance may have.
async fn holds_the_greedy(master: &Master, node: &Node, image: &Release) -> Result<()> {
    let (computer, operator) = (node.reference(master).await?, master.operator());
    let request = async |state, parameters: &[(&str, &str)]| {
        let parameters = parameters.iter();
        let parameters = parameters.map(|(name, value)| ((*name).into(), (*value).into()));
        let wish = Wish {
            state,
            parameters: parameters.collect(),
        };
        let asked = operator.request("hoarder", &image.url, &computer, &wish);
        asked.await
    };
    let wants = ("WANTS_DISK", "64M");
    request("started", &[wants, ("SLAPOS_LIMIT_DISK", "32M")]).await?;
    eventually("the master hears that it has no disk left", async || {
        let service = operator.service("hoarder").await?;
        let status = service["status"].as_str().unwrap_or_default();
        let words = "it has used all of the 32 MiB of the disk that it may";
        ensure!(status.contains(words), "it has heard {status}");
        Ok(())
    })
    .within(minutes(6))
    .await?;
    request("destroyed", &[]).await
}
