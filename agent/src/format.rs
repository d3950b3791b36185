//! `slapbox-agent format`: makes the partitions once, without a master, and says how long it took.

use std::io::Write as _;

use anyhow::Context as _;
use camino::Utf8PathBuf;
use ipnet::Ipv6Net;
use serde::Serialize;
use tokio::time::Instant;

use crate::partitions;
use crate::workload::Paths;

/// Makes users, directories, addresses and taps of the partitions.
#[derive(Debug, clap::Args)]
pub struct Format {
    /// The node's prefix: fd12:3456:789a:1::/64
    #[arg(long)]
    prefix: Ipv6Net,
    /// How many partitions
    #[arg(long, default_value_t = 200)]
    partitions: u16,
    /// Where the partitions' directories are
    #[arg(long, default_value = "/srv/slapgrid")]
    root: Utf8PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Outcome {
    changed: usize,
    seconds: f64,
    failures: Vec<String>,
}

impl Format {
    /// Makes the partitions and prints what changed.
    pub async fn run(self) -> anyhow::Result<()> {
        let paths = Paths {
            software: self.root.join("software"),
            instances: self.root,
            ..Paths::default()
        };
        let begin = Instant::now();
        let made = partitions::make(&paths, self.partitions, self.prefix).await?;
        let of_partitions = made.failures.into_iter();
        let mut failures: Vec<_> = of_partitions
            .map(|(partition, failure)| format!("{partition}: {failure}"))
            .collect();
        failures.extend(made.node_failures);
        let outcome = Outcome {
            changed: made.changed,
            seconds: begin.elapsed().as_secs_f64(),
            failures,
        };
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&outcome)?)
        } else {
            let Outcome {
                changed, seconds, ..
            } = &outcome;
            writeln!(out, "{changed} changed in {seconds:.3} s")
        }
        .context("failed to print the outcome")?;
        match outcome.failures.first() {
            None => Ok(()),
            Some(first) => anyhow::bail!("{} failures, the first: {first}", outcome.failures.len()),
        }
    }
}
