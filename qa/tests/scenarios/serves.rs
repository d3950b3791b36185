//! A box joins and serves, survives power cuts of the node and of the master, and leaves nothing of what is destroyed.

use anyhow::Result;
use slapbox_qa::lab::scenario;
use slapbox_qa::seed::Seed;

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
