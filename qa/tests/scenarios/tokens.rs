//! A box says in words on its console why it does not join, and joins as soon as a stick tells it better. A token that another
//! box has used, in this case one whose clock says 1970, is among the reasons.

use anyhow::Result;
use slapbox_qa::lab::scenario;
use slapbox_qa::seed::Seed;

#[test]
fn a_box_says_why_it_is_refused_and_joins_when_told_better() -> Result<()> {
    scenario("tokens", async |lab| {
        let master = lab.start_master_on_host().await?;
        let expired = master.short_token().await?;
        let used = master.token().await?;
        let good = master.token().await?;

        let mut other = lab
            .boot_node_at("node-1970", Seed::joining(&used), "1970-01-01T00:01:00")
            .await?;
        let mut node = lab.boot_node_with_slot("node-2", Seed::malformed()).await?;
        other.enrols_with(&master).await?;
        other.cut_power();

        node.shows("its document is malformed", &["jion"]).await?;
        for (why, token) in [
            (
                "unknown",
                good.with_token(&format!("AAAAAAAAAAAA.{}", "A".repeat(43))),
            ),
            ("expired", expired),
            ("used", used),
        ] {
            // All refusals look alike to the box: by its name, the screen tells which stick it speaks of.
            let name = format!("told-{why}");
            let stick = lab.stick(why, &Seed::joining(&token).named(&name))?;
            node.plug(&stick).await?;
            node.shows(&format!("the {why} token is refused"), &[&name, "refused"])
                .await?;
            node.pull(&stick).await?;
        }

        let stick = lab.stick("good", &Seed::joining(&good).named("node-2"))?;
        node.plug(&stick).await?;
        node.enrols_with(&master).await?;
        lab.token_is_erased_from(&stick).await
    })
}
