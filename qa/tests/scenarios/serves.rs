//! A box joins and serves, survives power cuts of the node and of the master, and leaves nothing of what is destroyed. Who uses more memory
//! than it may is ended, who writes more than it may writes no more, and who serves beside them serves on.

use anyhow::{Result, ensure};
use slapbox_qa::archive::Image;
use slapbox_qa::eventually::{eventually, minutes};
use slapbox_qa::lab::{Lab, scenario};
use slapbox_qa::master::Master;
use slapbox_qa::node::Node;
use slapbox_qa::operator::Wish;
use slapbox_qa::seed::Seed;

/// Makes a service that wants ever more memory, or much of the disk, and that outside of its partition.
const GREEDY: &str = "#!/bin/sh
set -eu
mkdir -p etc/service
case $(cat $SLAPOS_PARAMETERS) in
*hoard*) wants='dd if=/dev/zero of=/var/tmp/much bs=64k count=1024; exec sleep infinity' ;;
*) wants='exec tail /dev/zero' ;;
esac
printf '#!/bin/sh\\n%s\\n' \"$wants\" > etc/service/greedy
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

/// An instance that wants more memory than it may have is ended by the kernel, one that wants more of the disk gets no more, and the
/// master hears why.
async fn holds_the_greedy(lab: &Lab, master: &Master, node: &Node) -> Result<()> {
    let archive = lab.folder().join("greedy.oci.tar");
    Image::of(&lab.product().demo)?
        .with_programs(&[("slapos/instantiate", GREEDY)])?
        .write(&archive)?;
    let release = master.publish(&archive).await?;
    let (computer, operator) = (node.reference(master).await?, master.operator());
    operator.supply(&release.url, &computer).await?;
    let request = async |title: &str, state, parameters: &[(&str, &str)]| {
        let parameters = parameters.iter();
        let parameters = parameters.map(|(name, value)| ((*name).into(), (*value).into()));
        let wish = Wish {
            state,
            parameters: parameters.collect(),
        };
        let asked = operator.request(title, &release.url, &computer, &wish);
        asked.await
    };
    let hears = async |title: &str, part: &str, words: &str| {
        eventually(
            format!("the master hears of {title}: {words}"),
            async || {
                let service = operator.service(title).await?;
                let heard = service[part].as_str().unwrap_or_default();
                ensure!(heard.contains(words), "it has heard {heard}");
                Ok(())
            },
        )
        .within(minutes(6))
        .await
    };
    let limit = ("SLAPOS_LIMIT_MEMORY", "32M");
    request("greedy", "started", &[limit]).await?;
    let limit = ("SLAPOS_LIMIT_DISK", "32M");
    request("hoarder", "started", &[("wants", "to hoard"), limit]).await?;
    hears(
        "greedy",
        "status",
        "uses more than the 32 MiB of memory that it may",
    )
    .await?;
    hears(
        "hoarder",
        "status",
        "it has used all of the 32 MiB of the disk that it may",
    )
    .await?;
    // What it may is raised, and nothing is wrong with it any more.
    request("hoarder", "started", &[("wants", "to hoard")]).await?;
    hears("hoarder", "reported_state", "started").await?;
    for title in ["greedy", "hoarder"] {
        request(title, "destroyed", &[]).await?;
    }
    Ok(())
}
