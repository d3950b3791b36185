//! Root asks the agent of a box to look at once: each command ends with the exit status that the original's node has, and says why.

use std::process::Output;

use anyhow::{Result, ensure};
use slapbox_qa::cell::Cell;
use slapbox_qa::eventually::{eventually, seconds};
use slapbox_qa::slapproxy::{COMPUTER, Slapproxy, document};

use crate::in_a_box::in_a_box;

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9/nothing.oci.tar";

#[tokio::test]
async fn who_asks_hears_what_came_of_it() -> Result<()> {
    let document = document(4, "");
    in_a_box(
        "asked",
        &document,
        async |cell, _product, python, folder| {
            let proxy = Slapproxy::start(cell, &python, folder).await?;
            ask_early(cell)?;
            ask_all(cell, proxy).await
        },
    )
    .await
}

/// Who asks an agent that has only begun is answered at once, too.
fn ask_early(cell: &Cell) -> Result<()> {
    let early = "systemctl restart slapbox-agent.service && exec timeout 10 systemctl reload slapbox-agent.service";
    cell.namespace().run(&["sh", "-c", early]).map(drop)
}

async fn ask_all(cell: &Cell, proxy: Slapproxy<'_>) -> Result<()> {
    // The master was not there when the agent was started: it is told now.
    ends(cell, &["format"], 0, "4 partitions are made")?;
    ends(cell, &["instance"], 0, "0 instances are started")?;
    ends(cell, &["software"], 0, "0 releases are as wanted")?;
    ends(cell, &["promise"], 0, "every promise is kept")?;
    ends(cell, &["report"], 0, "the master has been told")?;
    ends(
        cell,
        &["bang", "--message", "try"],
        0,
        "the master has heard it",
    )?;
    shows(cell, 0, "4 of 4 ready").await?;
    ends(cell, &["plan"], 0, "nothing is to be done")?;
    ask_for_more(cell)?;

    proxy.slapos(&["supply", NOWHERE, COMPUTER])?;
    ends(cell, &["software"], 1, NOWHERE)?;
    ends(cell, &["software", "--json"], 1, "\"status\": 1")?;
    ends(
        cell,
        &["software", "--force", "--only-sr", NOWHERE],
        1,
        "it is an image, which is what it is",
    )?;
    shows(cell, 1, "one thing has failed").await?;
    proxy.slapos(&["remove", NOWHERE, COMPUTER])?;
    ends(cell, &["report"], 0, "the master has been told")?;

    drop(proxy);
    ends(
        cell,
        &["software", "--garbage-collect"],
        1,
        "the master does not answer",
    )?;
    ends(cell, &["instance"], 3, "the master does not answer")?;
    ends(cell, &["format"], 2, "the master does not answer")?;
    ends(cell, &["bang", "-m", "try"], 1, "")?;

    ends(
        cell,
        &["register", "--join", "slapbox1.x"],
        1,
        "it is a node already, local_computer of http://",
    )?;
    ends(
        cell,
        &["register", "--master-url", "x"],
        64,
        "cannot be chosen",
    )?;
    let nobody = ["setpriv", "--reuid=65534", "--clear-groups", "slapbox"];
    let refused = run(cell, &nobody, &["instance"])?;
    said(&refused, 5, "this is root's to do")?;
    cell.namespace()
        .run(&["systemctl", "stop", "slapbox-agent.service"])?;
    ends(cell, &["instance"], 1, "the agent does not run")?;
    ends(cell, &["status"], 1, "the agent does not run")
}

/// What the original's commands can be asked beside a look, on a node that has nothing yet.
fn ask_for_more(cell: &Cell) -> Result<()> {
    ends(cell, &["prune"], 0, "every shared part has a release")?;
    ends(
        cell,
        &["software", "--garbage-collect"],
        0,
        "no release is there that nobody needs",
    )?;
    ends(cell, &["instance", "--force"], 0, "0 instances are started")?;
    ends(
        cell,
        &["instance", "--only-cp", "slappart4"],
        1,
        "`slappart4` is not a partition of this node",
    )?;
    ends(
        cell,
        &["software", "--only-sr", NOWHERE],
        1,
        "is no release that is supplied on this node",
    )?;
    ends(
        cell,
        &["prune", "--additional-software-directory", "/nowhere"],
        1,
        "/nowhere",
    )?;
    ends(
        cell,
        &["prune", "--dry-run"],
        0,
        "every shared part has a release",
    )
}

/// Waits until `slapbox node` ends so and says so: what it shows is written once a second.
async fn shows(cell: &Cell, status: i32, part: &str) -> Result<()> {
    let shown = eventually("`slapbox node` shows it", async || {
        said(&run(cell, &["slapbox"], &[])?, status, part)
    });
    shown.within(seconds(10)).await
}

/// Holds that `slapbox node …` ends so and says so.
pub(crate) fn ends(cell: &Cell, words: &[&str], status: i32, part: &str) -> Result<()> {
    let output = run(cell, &["slapbox"], words)?;
    said(&output, status, part)
        .map_err(|error| error.context(format!("slapbox node {}", words.join(" "))))
}

fn run(cell: &Cell, program: &[&str], words: &[&str]) -> Result<Output> {
    let line = [program, &["node"], words].concat();
    cell.namespace().attempt(&line)
}

fn said(output: &Output, status: i32, part: &str) -> Result<()> {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8_lossy(&text);
    ensure!(
        output.status.code() == Some(status) && text.contains(part),
        "{} instead of {status} and “{part}”: {text}",
        output.status
    );
    Ok(())
}
