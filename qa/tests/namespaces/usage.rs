//! What an instance says of its use reaches the master once, and what it says wrongly stays where it is.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use slapbox_qa::cell::Cell;
use slapbox_qa::eventually::{eventually, minutes, seconds};
use slapbox_qa::peer::Peer;
use slapbox_qa::product;

use crate::slapproxy::{Site, play};

const PARTITION: &str = "/srv/slapgrid/slappart0";
const AGENT: &str = "slapbox-agent.service";
const OUTBOX: &str = "/var/lib/slapbox/usage/outbox";
/// Lays a report into a partition, as its user would, and something that is none.
const FURNISH: &str = "cd /srv/slapgrid/slappart0 && mkdir -p etc/report var/xml_report && cat > etc/report/usage <<'END'
#!/bin/sh
id -u > \"$SLAPOS_PARTITION/ran-as\"
cat > \"$1\" <<MOVEMENT
<consumption><movement><resource>service_module/pages</resource><quantity>3.0</quantity><price>0.0</price><VAT></VAT></movement></consumption>
MOVEMENT
END
printf '#!/bin/sh\\necho no database\\nexit 3\\n' > etc/report/fails
chmod 755 etc/report/* && echo '<consumption/>' > var/xml_report/broken
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

#[tokio::test]
async fn what_waits_for_the_master_outlives_the_agent_and_is_told_once() -> Result<()> {
    play("slapproxy-usage-killed", "", async |stage, _product| {
        let release = stage.shelf.url("demo.oci.tar");
        stage.supply(&release).await?;
        let site = Site {
            title: "site",
            release: &release,
            parameter: "greeting=hello".to_owned(),
        };
        stage.start(&site).await?;
        let url = stage.published(&site)?;
        let cell = stage.cell;
        cell.namespace().run(&["sh", "-c", FURNISH])?;

        let killed = async || {
            another_day(cell)?;
            waits(cell).await?;
            let before = process(cell)?;
            let kill = ["systemctl", "kill", "--signal=KILL", AGENT];
            cell.namespace().run(&kill)?;
            is_another_than(cell, &before).await?;
            waits(cell).await
        };
        stage.proxy.is_away_while(killed).await?;
        cell.looks_again()?;
        // It says anew how all is, and once what was used.
        let told = [
            "loadComputerConfigurationFromXML",
            "availableSoftwareRelease",
            "setComputerPartitionConnectionXml",
            "startedComputerPartition",
            "useComputer",
        ];
        stage.proxy.hears_in_any_order(&told).await?;
        was_told(cell).await?;

        stage.stop(&site, &url).await?;
        stage.destroy(&site, &["useComputer"]).await
    })
    .await
}

/// A document waits, and the file that it was made of is where it was.
async fn waits(cell: &Cell) -> Result<()> {
    eventually("what was used waits for the master", async || {
        let waiting = cell.namespace().run(&["ls", OUTBOX])?;
        let is_entry = |name: &str| name != "told.json" && name.ends_with(".json");
        ensure!(waiting.lines().any(is_entry), "{waiting}");
        let files = cell
            .namespace()
            .run(&["ls", &format!("{PARTITION}/var/xml_report")])?;
        ensure!(files.contains("slapreport."), "{files}");
        Ok(())
    })
    .within(minutes(1))
    .await
}

/// The number of the agent's process.
fn process(cell: &Cell) -> Result<String> {
    let show = ["systemctl", "show", "--property=MainPID", "--value", AGENT];
    cell.namespace().run(&show)
}

async fn is_another_than(cell: &Cell, before: &str) -> Result<()> {
    eventually("the agent is back", async || {
        let active = ["systemctl", "is-active", AGENT];
        cell.namespace().run(&active)?;
        ensure!(process(cell)? != before, "it is not gone yet");
        Ok(())
    })
    .within(seconds(30))
    .await
}

#[test]
fn the_originals_schema_takes_what_a_box_writes() -> Result<()> {
    const VALIDATE: &str = "import sys, importlib.resources as it; from lxml import etree
schema = etree.XMLSchema(etree.fromstring((it.files('slapos.slap') / 'doc/computer_consumption.xsd').read_bytes()))
schema.assertValid(etree.fromstring(sys.stdin.buffer.read()))";
    let python = match Peer::told_python() {
        Ok(python) => python,
        Err(missing) => return product::skip("the schema", &format!("{missing:#}")),
    };
    let documents = [
        include_str!(
            "../../../agent/src/usage/snapshots/slapbox_agent__usage__journal__tests__a_day_becomes_the_originals_document.snap"
        ),
        include_str!(
            "../../../agent/src/usage/snapshots/slapbox_agent__usage__journal__tests__what_partitions_said_becomes_the_originals_document.snap"
        ),
    ];
    let validate = |document: &str| -> Result<Output> {
        let mut command = Command::new(&python);
        let command = command.args(["-c", VALIDATE]).stdin(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("it was piped")?;
        stdin.write_all(document.as_bytes())?;
        drop(stdin);
        Ok(child.wait_with_output()?)
    };
    for document in documents {
        let at = document.find("<?xml").context("a document")?;
        let document = &document[at..];
        let said = validate(document)?;
        let words = String::from_utf8_lossy(&said.stderr);
        ensure!(said.status.success(), "{words}: {document}");
        let wrong = validate(&document.replace("<stop_date>", "<other/><stop_date>"))?;
        ensure!(!wrong.status.success(), "the schema takes anything");
    }
    Ok(())
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
        for words in [
            "`var/xml_report/broken` cannot be accounted and stays there",
            "the report `fails` failed (exit status 3): no database",
        ] {
            ensure!(status.contains(words), "{status}");
        }
        Ok(())
    })
    .within(minutes(1))
    .await
}
