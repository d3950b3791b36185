//! A node's 200 partitions on this machine: made, made again, repaired, never fewer than are in use, and gone at the end.

use anyhow::{Result, ensure};
use slapbox_qa::host::is_root;
use slapbox_qa::namespace::Namespace;
use slapbox_qa::partitions::{Partitions, traces_on_this_machine};
use slapbox_qa::product;

#[tokio::test]
async fn two_hundred_partitions_are_made_repaired_and_leave_no_trace() -> Result<()> {
    if !is_root() {
        return product::skip("200 partitions", "making users and interfaces needs root");
    }
    let before = traces_on_this_machine()?;
    {
        let namespace = Namespace::make(&product::target()?.join("qa/namespaces")).await?;
        let partitions = Partitions::of(&namespace, 200)?;
        a_second_run_changes_nothing(&partitions)?;
        what_is_deleted_comes_back(&partitions)?;
        fewer_than_in_use_is_refused(&partitions)?;
    }
    let after = traces_on_this_machine()?;
    ensure!(
        after == before,
        "left on the machine: {:?}",
        after.difference(&before)
    );
    Ok(())
}

fn a_second_run_changes_nothing(partitions: &Partitions<'_>) -> Result<()> {
    partitions.lay_out()?;
    let made = partitions.are_all_there()?;
    let again = partitions.lay_out()?;
    ensure!(
        again.changed == 0,
        "a second run has changed {} things",
        again.changed
    );
    ensure!(
        partitions.are_all_there()? == made,
        "a second run has changed what is there"
    );
    Ok(())
}

fn what_is_deleted_comes_back(partitions: &Partitions<'_>) -> Result<()> {
    let made = partitions.are_all_there()?;
    let address = made
        .addresses
        .last()
        .map(String::as_str)
        .unwrap_or_default();
    partitions.namespace().run(&["userdel", "slapuser7"])?;
    partitions
        .namespace()
        .run(&["ip", "-6", "address", "del", address, "dev", "lo"])?;
    partitions
        .namespace()
        .run(&["ip", "link", "del", "slaptap9"])?;
    ensure!(partitions.are_all_there().is_err(), "nothing was deleted");
    partitions.lay_out()?;
    ensure!(
        partitions.are_all_there()? == made,
        "what came back is not what was deleted"
    );
    Ok(())
}

fn fewer_than_in_use_is_refused(partitions: &Partitions<'_>) -> Result<()> {
    partitions.put_something_into("slappart150")?;
    let refused = partitions.lay_out_count(100);
    let said = refused.map_or_else(
        |error| format!("{error:#}"),
        |_| "it is not refused".to_owned(),
    );
    ensure!(
        said.contains("slappart150") && said.contains("in use"),
        "{said}"
    );
    partitions.are_all_there().map(drop)
}
