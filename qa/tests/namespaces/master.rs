//! A master as a process of this machine: one command starts it, and its operator can log in, make tokens and publish.

use anyhow::{Result, ensure};
use slapbox_qa::lab::scenario;

#[test]
fn a_master_runs_on_any_linux_machine_by_one_command() -> Result<()> {
    scenario("master-on-host", async |lab| {
        let master = lab.start_master_on_host().await?;
        let token = master.token().await?;
        ensure!(
            token.urls.iter().all(|url| url.starts_with("https://")),
            "the token leads to {:?}",
            token.urls
        );
        ensure!(
            master.operator().computers().await?.is_empty(),
            "a new master knows a computer"
        );
        let release = master.publish_demo().await?;
        ensure!(
            release.url.ends_with("/releases/demo.oci.tar"),
            "the release is at {}",
            release.url
        );
        Ok(())
    })
}
