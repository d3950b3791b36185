//! A box whose clock is wrong by decades enrols all the same, since it trusts its master's key before it trusts a date.
//! The year 1970 is in `tokens.rs`.

use anyhow::Result;
use slapbox_qa::lab::scenario;
use slapbox_qa::seed::Seed;

#[test]
fn a_box_from_2099_enrols() -> Result<()> {
    scenario("clocks", async |lab| {
        let master = lab.start_master_on_host().await?;
        let mut node = lab
            .boot_node_at(
                "node-2099",
                Seed::joining(&master.token().await?),
                "2099-12-31T12:00:00",
            )
            .await?;
        node.enrols_with(&master).await
    })
}
