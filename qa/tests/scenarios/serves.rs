//! A box joins and serves, survives power cuts of the node and of the master, and leaves nothing of what is destroyed. Who uses more memory
//! than it may is ended, and who serves beside it is not.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use slapbox_qa::archive::Image;
use slapbox_qa::eventually::{eventually, minutes};
use slapbox_qa::lab::{Lab, scenario};
use slapbox_qa::master::Master;
use slapbox_qa::node::Node;
use slapbox_qa::operator::Wish;
use slapbox_qa::seed::Seed;

/// Makes a service that wants ever more memory.
const GREEDY: &str = "#!/bin/sh
set -eu
mkdir -p etc/service
printf '#!/bin/sh\\nexec tail /dev/zero\\n' > etc/service/greedy
chmod 755 etc/service/greedy
";

#[test]
fn a_box_joins_and_serves_and_power_cuts_lose_nothing() -> Result<()> {
    scenario("serves", async |lab| {
        let mut master = lab.boot_master().await?;
        let mut node = lab
            .boot_node("node-1", Seed::joining(&master.token().await?))
            .await?;
        node.enrols_with(&master).await?;
        node.has_its_partitions(&master).await?;

        let release = master.publish_demo().await?;
        let site = master
            .request("hello", &release, &node, "Hello from a Slapbox")
            .await?;
        site.is_reported("started").await?;
        let mut way = site.answers().await?;
        holds_the_greedy(lab, &master, &node).await?;
        site.answers_through(&mut way).await?;

        node.cut_power();
        node.boot().await?;
        site.answers_through(&mut way).await?;

        master.restart_after_power_cut().await?;
        site.is_reported("started").await?;
        drop(site.answers().await?);

        site.stop().await?;
        site.is_reported("stopped").await?;
        site.destroy().await?;
        site.is_gone().await
    })
}

/// An instance that wants more memory than it may have is ended by the kernel, and the master hears why.
async fn holds_the_greedy(lab: &Lab, master: &Master, node: &Node) -> Result<()> {
    let archive = lab.folder().join("greedy.oci.tar");
    Image::of(&lab.product().demo)?
        .with_programs(&[("slapos/instantiate", GREEDY)])?
        .write(&archive)?;
    let release = master.publish(&archive).await?;
    let (computer, operator) = (node.reference(master).await?, master.operator());
    operator.supply(&release.url, &computer).await?;
    let limit = ("SLAPOS_LIMIT_MEMORY".to_owned(), "32M".to_owned());
    let mut wish = Wish {
        state: "started",
        parameters: BTreeMap::from([limit]),
    };
    let request = async |wish: &Wish| {
        let asked = operator.request("greedy", &release.url, &computer, wish);
        asked.await
    };
    request(&wish).await?;
    eventually("the master hears that it lacks memory", async || {
        let service = operator.service("greedy").await?;
        let status = service["status"].as_str().unwrap_or_default();
        let words = "uses more than the 32 MiB of memory that it may";
        ensure!(status.contains(words), "it has heard {status}");
        Ok(())
    })
    .within(minutes(6))
    .await?;
    wish.state = "destroyed";
    request(&wish).await
}
