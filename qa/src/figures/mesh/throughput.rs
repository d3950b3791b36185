//! What one TCP connection carries between two neighbours, by iperf3: over the overlay, and at once before without it.

use anyhow::{Context as _, Result, ensure};
use std::net::IpAddr;

use super::world::{Overlay, World};
use crate::eventually::{eventually, seconds};
use crate::story::act;
use crate::underlay::Site;

/// How long each lasts.
const SECONDS: &str = "8";

/// Returns what it carries without and with the overlay, in megabits a second.
pub(super) async fn measure<O: Overlay>(world: &World<O>) -> Result<(f64, f64)> {
    // Those who say most to each other are neighbours.
    let pair = world.flows().await?.busiest(|_| true);
    let (one, other) = pair.context("no two nodes speak to each other")?;
    act(format_args!("{}: from node {one} to node {other}", O::NAME));
    let (from, to) = (world.underlay().site(one)?, world.underlay().site(other)?);
    let raw = transfer(from, to, to.ipv4().into()).await?;
    let tunnel = transfer(from, to, world.address(other)?.into()).await?;
    Ok((raw, tunnel))
}

async fn transfer(from: &Site, to: &Site, address: IpAddr) -> Result<f64> {
    let mut serve = to.command("iperf3")?;
    serve.args(["--server", "--one-off", "--forceflush"]);
    let folder = tempfile::tempdir().context("cannot make a folder for a log")?;
    let folder = crate::files::utf8(folder.path().to_owned())?;
    let mut server = to.start(&serve, &folder.join("iperf3.log"))?;
    eventually("iperf3 listens", async || {
        server.must_live()?;
        ensure!(server.said().contains("listening"), "not yet");
        Ok(())
    })
    .within(seconds(10))
    .await?;
    let mut send = from.command("iperf3")?;
    send.args([
        "--client",
        &address.to_string(),
        "--time",
        SECONDS,
        "--json",
    ]);
    let run = move || send.output().context("cannot run iperf3");
    let ended = tokio::task::spawn_blocking(run);
    let ended = ended.await.context("iperf3's caller panicked")??;
    let said: serde_json::Value =
        serde_json::from_slice(&ended.stdout).context("iperf3 prints no JSON")?;
    let bits = said["end"]["sum_received"]["bits_per_second"].as_f64();
    let bits = bits.with_context(|| format!("iperf3 failed: {}", said["error"]))?;
    Ok(bits / 1e6)
}
