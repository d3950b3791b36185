//! A storm: all instances but one are changed at once, again and again, and that one answers all the time. (How fast it does is measured
//! by `cargo qa bench node`.)

use anyhow::{Result, ensure};
use slapbox_qa::open_master::Wish;
use slapbox_qa::shelf::Shelf;

use super::stage::{Scene, play};

const OTHERS: u16 = 9;
const WAVES: [&str; 3] = ["one", "two", "three"];

#[tokio::test]
async fn a_service_answers_while_all_others_are_changed() -> Result<()> {
    let scene = Scene {
        name: "faults-storm",
        disk: None,
        builds: false,
    };
    play(scene, async |stage| {
        for wave in WAVES {
            let wishes: Vec<Wish> = (1..=OTHERS)
                .map(|number| {
                    let title = format!("other {number}");
                    let greeting = format!("wave {wave} over {number}");
                    Wish::started(
                        &title,
                        &Shelf::address("demo.oci.tar"),
                        &[("greeting", &greeting)],
                    )
                })
                .collect();
            stage.master.request_all(&wishes).await?;
            stage.is_as_wanted().await?;
            for number in 1..=OTHERS {
                let page = format!("cat /srv/slapgrid/slappart{number}/srv/www/index.html");
                let page = stage.shell(&page)?;
                ensure!(
                    page.contains(&format!("wave {wave} over {number}")),
                    "{page}"
                );
            }
        }
        Ok(())
    })
    .await
}
