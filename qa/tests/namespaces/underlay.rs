//! The underlay that overlays are tried on: sites reach each other as planned, and a cut is silent.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use slapbox_qa::files::empty_folder;
use slapbox_qa::host::is_root;
use slapbox_qa::product;
use slapbox_qa::underlay::{Nat, Plan, Site, Underlay};
use tokio::net::UdpSocket;
use tokio::time::{interval, timeout};

const PORT: u16 = 6326;

/// Makes one, unless that is not allowed here.
async fn lay(name: &str, plan: &Plan) -> Result<Option<Underlay>> {
    if !is_root() {
        product::skip(name, "making networks needs root")?;
        return Ok(None);
    }
    let folder = product::target()?.join("qa/underlay").join(name);
    empty_folder(&folder)?;
    Underlay::make(plan, &folder).await.map(Some)
}

/// Which pairs have an answer to a ping by IPv4, and which by IPv6.
fn reached(underlay: &Underlay) -> Result<[BTreeSet<(u16, u16)>; 2]> {
    let (mut by_ipv4, mut by_ipv6) = (BTreeSet::new(), BTreeSet::new());
    for from in underlay.sites() {
        for to in underlay.sites().filter(|it| it.number != from.number) {
            let pair = (from.number, to.number);
            if pings(from, &to.ipv4().to_string())? {
                by_ipv4.insert(pair);
            }
            if pings(from, &to.ipv6().to_string())? {
                by_ipv6.insert(pair);
            }
        }
    }
    Ok([by_ipv4, by_ipv6])
}

fn pings(from: &Site, address: &str) -> Result<bool> {
    let mut ping = from.command("ping")?;
    let ended = ping.args(["-n", "-c", "1", "-W", "0.3", address]).output();
    Ok(ended.context("cannot run ping")?.status.success())
}

#[tokio::test]
async fn a_cut_concerns_two_sites_and_is_mended() -> Result<()> {
    let Some(mut underlay) = lay("cut", &Plan::full(3)).await? else {
        return Ok(());
    };
    let all = BTreeSet::from([(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)]);
    ensure!(reached(&underlay)? == [all.clone(), all.clone()]);
    let flows = underlay.flows()?;
    ensure!(flows.total() > 0, "the switch has counted nothing");
    underlay.cut(1, 2)?;
    let rest: BTreeSet<_> = all
        .iter()
        .copied()
        .filter(|&(a, b)| a == 3 || b == 3)
        .collect();
    ensure!(reached(&underlay)? == [rest.clone(), rest]);
    underlay.mend(1, 2)?;
    ensure!(reached(&underlay)? == [all.clone(), all]);
    underlay.cut_power(2)?;
    let left = BTreeSet::from([(1, 3), (3, 1)]);
    ensure!(reached(&underlay)? == [left.clone(), left]);
    Ok(())
}

#[tokio::test]
async fn sites_reach_each_other_as_planned() -> Result<()> {
    let Some(underlay) = lay("line", &Plan::line(3)).await? else {
        return Ok(());
    };
    let line = BTreeSet::from([(1, 2), (2, 1), (2, 3), (3, 2)]);
    ensure!(reached(&underlay)? == [line.clone(), line]);
    drop(underlay);
    let Some(underlay) = lay("halves", &Plan::halves(3)).await? else {
        return Ok(());
    };
    let pair = |one, other| BTreeSet::from([(one, other), (other, one)]);
    ensure!(reached(&underlay)? == [pair(1, 2), pair(1, 3)]);
    Ok(())
}

#[tokio::test]
async fn holes_are_punched_through_some_routers_and_not_through_others() -> Result<()> {
    let plan = Plan::full(6)
        .behind(Nat::Punchable, &[2, 3])
        .behind(Nat::Symmetric, &[4, 5])
        .without_udp(&[6]);
    let Some(underlay) = lay("routers", &plan).await? else {
        return Ok(());
    };
    for (one, other, expected) in [
        (1, 2, true),
        (1, 4, true),
        (2, 3, true),
        (2, 4, false),
        (4, 5, false),
        (1, 6, false),
    ] {
        let (one, other) = (underlay.site(one)?, underlay.site(other)?);
        let met = tokio::join!(
            meets(one, other.ipv4(), expected),
            meets(other, one.ipv4(), expected)
        );
        let both = met.0? && met.1?;
        ensure!(
            both == expected,
            "{} and {}: {both}",
            one.number,
            other.number
        );
    }
    let outside = underlay.site(1)?;
    ensure!(pings(underlay.site(2)?, &outside.ipv4().to_string())?);
    ensure!(underlay.site(2)?.endpoint(PORT).is_none());
    Ok(())
}

/// Has a site speak to another's port by UDP until it hears from it; it answers wherever it hears from.
async fn meets(site: &Site, other: Ipv4Addr, is_expected: bool) -> Result<bool> {
    let patience = Duration::from_secs(if is_expected { 5 } else { 1 });
    let speak = async move || -> Result<bool> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).await;
        let socket = socket.context("cannot listen")?;
        let mut target = SocketAddr::from((other, PORT));
        let (mut tick, mut heard) = (interval(Duration::from_millis(50)), false);
        let talk = async {
            let (mut datagram, mut more) = ([0; 8], 20);
            // After it has heard the other it goes on for a while, so that it is heard, too.
            while more > 0 {
                tokio::select! {
                    _ = tick.tick() => {
                        let _ = socket.try_send_to(b"hello", target);
                        more -= u32::from(heard);
                    }
                    Ok((_, from)) = socket.recv_from(&mut datagram) => {
                        (target, heard) = (from, true);
                    }
                }
            }
        };
        let _ = timeout(patience, talk).await;
        Ok(heard)
    };
    site.namespace().in_its_network(speak).await
}
