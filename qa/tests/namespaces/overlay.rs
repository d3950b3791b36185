//! Our overlay on networks that are not as they should be: nodes find each other wherever there is a way at all, and what is cut or dies is
//! gone around.

use std::time::Duration;

use anyhow::{Result, ensure};
use slapbox_qa::eventually::{minutes, seconds};
use slapbox_qa::host::is_root;
use slapbox_qa::overlay_lab::OverlayLab;
use slapbox_qa::product;
use slapbox_qa::underlay::{Nat, Plan};

/// Starts all nodes of a plan at once, and waits until all reach each other.
async fn lay(name: &str, plan: &Plan, deadline: Duration) -> Result<Option<OverlayLab>> {
    if !is_root() {
        product::skip(name, "making networks needs root")?;
        return Ok(None);
    }
    let folder = product::target()?.join("qa/overlay").join(name);
    let program = product::program("slapbox-re6st")?;
    let mut lab = OverlayLab::open(&program, plan, &folder).await?;
    lab.start_all()?;
    lab.all_reach_each_other(deadline).await?;
    Ok(Some(lab))
}

#[tokio::test]
async fn a_cut_link_and_a_dead_node_are_gone_around() -> Result<()> {
    let Some(mut lab) = lay("upsets", &Plan::full(5), minutes(1)).await? else {
        return Ok(());
    };
    lab.underlay().cut(2, 3)?;
    lab.all_reach_each_other(seconds(20)).await?;
    lab.underlay().mend(2, 3)?;
    lab.cut_power(4)?;
    ensure!(lab.numbers() == [1, 2, 3, 5]);
    lab.all_reach_each_other(seconds(20)).await
}

#[tokio::test]
async fn a_node_that_was_killed_is_back_with_its_address() -> Result<()> {
    let Some(mut lab) = lay("killed", &Plan::full(3), minutes(1)).await? else {
        return Ok(());
    };
    let before = lab.node(3)?.address()?;
    lab.kill(3);
    lab.start(3)?;
    lab.all_reach_each_other(seconds(30)).await?;
    let after = lab.node(3)?.address()?;
    ensure!(after == before, "it was {before:?} and is {after:?}");
    Ok(())
}

#[tokio::test]
async fn where_all_see_one_alone_that_one_carries() -> Result<()> {
    lay("star", &Plan::star(6), minutes(1)).await.map(drop)
}

/// Each tries nine others, of which it reaches two at most.
#[tokio::test]
async fn where_only_neighbours_see_each_other_others_carry() -> Result<()> {
    lay("line", &Plan::line(10), minutes(4)).await.map(drop)
}

#[tokio::test]
async fn nodes_with_no_address_in_common_reach_each_other() -> Result<()> {
    lay("halves", &Plan::halves(5), minutes(1)).await.map(drop)
}

#[tokio::test]
async fn nodes_behind_routers_reach_each_other() -> Result<()> {
    let plan = Plan::full(5)
        .behind(Nat::Punchable, &[2, 3])
        .behind(Nat::Symmetric, &[4, 5]);
    let Some(mut lab) = lay("behind-routers", &plan, minutes(1)).await? else {
        return Ok(());
    };
    lab.are_linked(2, 3, "udp", minutes(1)).await
}

#[tokio::test]
async fn a_node_whose_udp_is_lost_is_reached_through_the_registry() -> Result<()> {
    let plan = Plan::full(4).without_udp(&[3]);
    let Some(mut lab) = lay("without-udp", &plan, minutes(2)).await? else {
        return Ok(());
    };
    lab.are_linked(3, 1, "tls", minutes(1)).await
}
