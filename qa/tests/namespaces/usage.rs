//! What an instance says of its use reaches the master once, and what it says wrongly stays where it is.

use anyhow::{Result, ensure};
use slapbox_qa::cell::Cell;
use slapbox_qa::eventually::{eventually, minutes, seconds};

use crate::slapproxy::{Site, play};

const PARTITION: &str = "/srv/slapgrid/slappart0";
const OUTBOX: &str = "/var/lib/slapbox/usage/outbox";
/// Lays a report into a partition, as its user would, and something that is none.
const FURNISH: &str = "cd /srv/slapgrid/slappart0 && mkdir -p etc/report var/xml_report && cat > etc/report/usage <<'END'
#!/bin/sh
id -u > \"$SLAPOS_PARTITION/ran-as\"
cat > \"$1\" <<MOVEMENT
<consumption><movement><resource>service_module/pages</resource><quantity>3.0</quantity><price>0.0</price><VAT></VAT></movement></consumption>
MOVEMENT
END
chmod 755 etc/report/usage && echo '<consumption/>' > var/xml_report/broken
chown -R slapuser0:slapuser0 etc/report var";

#[tokio::test]
async fn what_an_instance_used_is_posted_daily_and_before_it_is_destroyed() -> Result<()> {
    play("slapproxy-usage", "", async |stage, _product| {
        let release = stage.shelf.url("demo.oci.tar");
        stage.supply(&release).await?;
        let site = Site {
            title: "site",
            release: &release,
            parameter: "greeting=hello".to_owned(),
        };
        stage.start(&site).await?;
        let url = stage.published(&site)?;
        stage.cell.namespace().run(&["sh", "-c", FURNISH])?;

        another_day(stage.cell)?;
        stage.proxy.hears(&["useComputer"]).await?;
        was_told(stage.cell).await?;
        ensure!(
            stage.cell.text(&format!("{PARTITION}/ran-as"))?.trim() == "20000",
            "the report did not run as the partition's user"
        );
        broken_stays(stage.cell).await?;

        is_counted(stage.cell).await?;

        stage.stop(&site, &url).await?;
        stage.destroy(&site, &["useComputer"]).await?;
        stage.cell.holds_only(OUTBOX, &["told.json"])
    })
    .await
}

/// Has the box forget that it has asked today. It looks each minute whether it is time to.
fn another_day(cell: &Cell) -> Result<()> {
    let ledger = format!("{OUTBOX}/told.json");
    cell.namespace().run(&["rm", "-f", &ledger]).map(drop)
}

/// Nothing waits, and what was told is gone.
async fn was_told(cell: &Cell) -> Result<()> {
    eventually("what was told is removed", async || {
        cell.holds_only(OUTBOX, &["told.json"])?;
        cell.holds_only(&format!("{PARTITION}/var/xml_report"), &["broken"])
    })
    .within(seconds(10))
    .await
}

/// What the instance uses is looked at each minute, and how much its files take once.
async fn is_counted(cell: &Cell) -> Result<()> {
    eventually("the box counts what the instance uses", async || {
        let days = cell
            .namespace()
            .run(&["sh", "-c", "cat /var/lib/slapbox/usage/days/*.csv"])?;
        let last = days.lines().rfind(|line| line.contains(",slappart0,"));
        let fields: Vec<_> = last.unwrap_or_default().split(',').collect();
        let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        let (cpu_usec, disk_bytes) = (number(3), number(13));
        ensure!(cpu_usec > Some(0) && disk_bytes > Some(4096), "{days}");
        Ok(())
    })
    .within(minutes(4))
    .await
}

async fn broken_stays(cell: &Cell) -> Result<()> {
    eventually("the box says what is wrong with a report", async || {
        let status = cell.text("/run/slapbox/status.json")?;
        let words = "`var/xml_report/broken` cannot be accounted and stays there";
        ensure!(status.contains(words), "{status}");
        Ok(())
    })
    .within(minutes(1))
    .await
}
