//! A Debian of somebody's own becomes a node by our package and one command, serves, and is theirs again when the package goes.

use anyhow::{Result, ensure};
use slapbox_qa::lab::scenario;

#[test]
fn a_stock_debian_becomes_a_node_and_serves() -> Result<()> {
    scenario("debian", async |lab| {
        // It boots beside its master.
        let mut debian = lab.boot_debian("debian-1").await?;
        let master = lab.boot_master().await?;
        debian.installs_the_package().await?;

        let early = debian.asks("status").await?;
        ensure!(
            early.status == 1
                && early
                    .text
                    .contains("`slapbox node register` makes it a node"),
            "{early:?}"
        );
        let token = master.token().await?;
        let unknown = token.with_token(&format!("AAAAAAAAAAAA.{}", "A".repeat(43)));
        let refused = debian
            .asks(&format!("register --join {}", unknown.line()))
            .await?;
        ensure!(
            refused.status == 1 && refused.text.contains("the master refuses this machine"),
            "{refused:?}"
        );

        debian.registers_with(&token).await?;
        let again = debian.asks("register --join slapbox1.x").await?;
        ensure!(
            again.status == 1 && again.text.contains("it is a node already, COMP-"),
            "{again:?}"
        );
        debian.node().has_its_partitions(&master).await?;
        let release = master.publish_demo().await?;
        let site = master
            .request("hello", &release, debian.node(), "Hello from a Debian")
            .await?;
        site.is_reported("started").await?;
        let mut way = site.answers().await?;
        let table = debian.does("status").await?;
        ensure!(table.contains("1 started"), "{table}");
        let said = debian.does("log slappart0").await?;
        ensure!(said.contains("nginx"), "{said}");
        debian.upgrades_the_package().await?;
        site.answers_through(&mut way).await?;
        debian.does("instance").await?;
        debian.is_sound().await?;
        debian.keeps_its_screen()?;

        debian.comes_back_after_a_power_cut().await?;
        site.answers_through(&mut way).await?;

        debian.removes_the_package().await?;
        let running = debian.what_runs().await?;
        ensure!(
            running.is_empty(),
            "without the package still runs: {running}"
        );
        debian.forgets_the_node().await
    })
}
