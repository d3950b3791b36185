//! What takes machines: from power to enrolled and to serving, and what a node of 512 MB says of itself.

use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::figures::{Figure, in_a_lab};
use crate::lab::Lab;
use crate::product::Product;
use crate::seed::Seed;

const MB: f64 = 1e6;

pub(super) async fn measure(product: Product) -> Result<Vec<Figure>> {
    in_a_lab("bench", product, boot_and_serve).await
}

async fn boot_and_serve(lab: &mut Lab) -> Result<Vec<Figure>> {
    let master = lab.boot_master().await?;
    let release = master.publish_demo().await?;
    // What it does by itself would be measured with the node's boot, on processors that both are emulated on.
    master.is_settled().await?;
    let seed = Seed::joining(&master.token().await?);

    let power = Instant::now();
    let mut node = lab.boot_node("node-1", seed).await?;
    node.enrols_with(&master).await?;
    let enrolled = power.elapsed().as_secs_f64();
    let report = node.has_its_partitions(&master).await?;
    let laid_out = power.elapsed().as_secs_f64();

    let site = master.request("hello", &release, &node, "Hello").await?;
    site.is_reported("started").await?;
    let mut way = site.answers().await?;
    let report = node.report(&master).await.unwrap_or(report);

    node.cut_power();
    let power = Instant::now();
    node.boot().await?;
    site.answers_through(&mut way).await?;
    let serving = power.elapsed().as_secs_f64();

    Ok(vec![
        Figure::at_most(60.0, "first boot to enrolled, 512 MB", enrolled, "s"),
        Figure::watched("first boot to 200 partitions, 512 MB", laid_out, "s"),
        Figure::watched("boot to serving again after a power cut", serving, "s"),
        Figure::at_most(
            10.0,
            "200 partitions in the machine, first time",
            number(&report, "/partitions/seconds_to_make")?,
            "s",
        ),
        Figure::at_most(
            16.0,
            "agent's memory with 200 partitions and the overlay",
            number(&report, "/agent_rss_bytes")? / MB,
            "MB",
        ),
        Figure::watched(
            "memory left of 512 MB while it serves",
            number(&report, "/memory_available_bytes")? / MB,
            "MB",
        ),
    ])
}

fn number(report: &Value, path: &str) -> Result<f64> {
    report
        .pointer(path)
        .and_then(Value::as_f64)
        .with_context(|| format!("the node's report has no {path}"))
}
