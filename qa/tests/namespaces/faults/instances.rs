//! Instances that go wrong, each in its own way and all at once.

use anyhow::{Result, ensure};

use super::stage::{Scene, moody, play};

/// What goes wrong, and what is said of it.
const FAULTS: [(&str, &str); 7] = [
    (
        "fails",
        "instantiation failed (exit status 3): this cannot be configured",
    ),
    ("crashes", "`crashes` ends again and again, see its journal"),
    (
        "malformed",
        "the connection parameters are not a JSON object of texts",
    ),
    (
        "misrequests",
        "what it requests cannot be used: its `.slapgrid/requests.json` is not a list of requests: unknown field `name`, expected one of `title`",
    ),
    (
        "overreaches",
        "it waits for what it requested: `moon`: the master says: no computer that has the software meets the conditions: \
         local_computer not region=moon",
    ),
    ("borrowed", "failed to read the connection parameters"),
    (
        "hangs",
        "Promise 'hangs' failed with output: Error: Promise timed out after 20 seconds",
    ),
];

#[tokio::test]
async fn instances_that_go_wrong_are_reported_and_disturb_nobody() -> Result<()> {
    let scene = Scene {
        name: "faults-instances",
        disk: None,
        builds: false,
    };
    play(scene, async |stage| {
        stage.has_release("moody.oci.tar").await?;
        let partition = |number: usize| format!("slappart{}", number + 1);
        for (number, (fault, _)) in FAULTS.iter().enumerate() {
            let instance = stage.master.request(&moody(fault, fault)).await?;
            ensure!(
                instance.partition.to_string() == partition(number),
                "elsewhere"
            );
        }
        for (number, (_, words)) in FAULTS.iter().enumerate() {
            stage.hears_of_partition(&partition(number), words).await?;
            stage.says(&partition(number), words).await?;
        }
        for (fault, _) in FAULTS {
            stage.master.request(&moody(fault, "none")).await?;
        }
        stage.is_as_wanted().await?;
        for number in 0..FAULTS.len() {
            stage
                .hears_of_partition(&partition(number), "#access")
                .await?;
        }
        Ok(())
    })
    .await
}
