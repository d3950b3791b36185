//! A box whose system was altered refuses to boot from it, and says so.

use anyhow::Result;
use slapbox_qa::lab::scenario;

#[test]
fn a_box_with_one_byte_of_its_system_altered_refuses_to_boot() -> Result<()> {
    scenario("spoilt", async |lab| {
        let mut node = lab.make_node("node-1")?;
        node.alter_one_byte_of_usr()?;
        node.boot().await?;
        node.says("its system is not what was shipped", "corrupted")
            .await?;
        node.never_gets_to_its_screen().await
    })
}
