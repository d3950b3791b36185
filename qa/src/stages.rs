//! `cargo qa test`: every check of the project, stage by stage, each with its time, closing with `N passed, N failed`.
//! CI runs exactly this.

mod tally;

use std::ffi::OsStr;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use crate::host::Host;
use crate::peer::{Peer, TEST_PYTHON};
use crate::postgres::Postgres;
use crate::product;
use crate::run::{Job, run};
use crate::story::{act, detail, spoken};
use crate::up;

pub use self::tally::Tally;

/// A part of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Stage {
    /// The code is formatted.
    Fmt,
    /// No lint complains, on any target.
    Clippy,
    /// The documentation builds without a warning.
    Doc,
    /// The tests that need no machine, the tidy test among them.
    Units,
    /// The original's own client and node are served.
    Peers,
    /// The master keeps its promises on PostgreSQL too, to the original's client as well.
    Postgres,
    /// The image is built and holds what it shall, and nothing else.
    Image,
    /// What needs root and namespaces of its own: 200 partitions on this machine, boxes that systemd boots there.
    Namespaces,
    /// Machines boot, and the product works.
    Scenarios,
}

/// Runs the stages, all of them if none is named.
pub async fn test(chosen: &[Stage]) -> Result<()> {
    let start = Instant::now();
    let stages: Vec<Stage> = if chosen.is_empty() {
        Stage::value_variants().to_vec()
    } else {
        chosen.to_vec()
    };
    let host = Host::prepare().await?;
    let tools = start_downloads(&host, &stages)?;
    if stages
        .iter()
        .any(|stage| !matches!(stage, Stage::Fmt | Stage::Clippy | Stage::Doc))
    {
        host.has_nextest().await?;
    }
    let mut tools = Some(tools);
    let mut total = Tally::default();
    let mut lines = Vec::new();
    for stage in stages.iter().copied() {
        if stage >= Stage::Peers
            && let Some(Some(job)) = tools.take()
        {
            detail("wait for the tools tree, which was begun beside the other stages");
            // Its failure is the image stage's, which tries again and tells.
            let _ = job.finish().await;
        }
        let begun = Instant::now();
        act(format_args!("stage {}", name_of(stage)));
        let tally = play(stage, &stages, &host).await;
        let line = format!(
            "{:12} {:>14}   {}",
            name_of(stage),
            spoken(begun.elapsed()),
            tally
        );
        act(&line);
        lines.push(line);
        total = total.and(&tally);
    }
    report(&lines, &total, start)
}

/// The tools tree is mostly downloads: it is made beside the first stages, which are mostly compilation.
fn start_downloads(host: &Host, stages: &[Stage]) -> Result<Option<Job>> {
    if !stages.iter().any(|stage| *stage >= Stage::Peers) || stages.len() == 1 {
        return Ok(None);
    }
    Ok(Some(Job::start(
        "set up the tools tree",
        &host.cargo(&["image", "tools"])?,
        &host.logs,
    )?))
}

async fn play(stage: Stage, all: &[Stage], host: &Host) -> Tally {
    match attempt(stage, all, host).await {
        Ok(tally) => tally,
        Err(error) => {
            detail(format_args!("{error:#}"));
            Tally::failure()
        }
    }
}

async fn attempt(stage: Stage, all: &[Stage], host: &Host) -> Result<Tally> {
    match stage {
        Stage::Fmt => one(host, "fmt", &["fmt", "--all", "--check"]).await,
        Stage::Clippy => one(host, "clippy", &CLIPPY).await,
        Stage::Doc => documentation(host).await,
        Stage::Units => {
            host.has_babeld().await?;
            let commands = host.cargo(&COMMANDS)?;
            run("build the commands", &commands, &host.logs).await?;
            nextest(host, "units", &["--workspace"]).await
        }
        Stage::Peers => {
            let mut command = nextest_command(host, &PEERS)?;
            command.env(TEST_PYTHON, Peer::ensure(host).await?.python());
            count(host, "peers", &command).await
        }
        Stage::Postgres => {
            host.has_postgres().await?;
            let mut command = nextest_command(host, &ON_POSTGRES)?;
            command.env(TEST_PYTHON, Peer::ensure(host).await?.python());
            let server = Postgres::start(&host.logs).await?;
            command.env(TEST_POSTGRES, server.url());
            count(host, "postgres", &command).await
        }
        Stage::Namespaces => namespaces(host, all.contains(&Stage::Scenarios)).await,
        Stage::Image => image(host).await,
        Stage::Scenarios => {
            up::build(host).await?;
            build_builder(host).await?;
            let package = host.cargo(&["image", "package"])?;
            run("build the Debian package", &package, &host.logs).await?;
            stock_debian(host)?.finish().await?;
            let mut command = nextest_command(host, &SCENARIOS)?;
            command.env(TEST_PYTHON, Peer::ensure(host).await?.python());
            count(host, "scenarios", &command).await
        }
    }
}

const CLIPPY: [&str; 7] = [
    "clippy",
    "--locked",
    "--workspace",
    "--all-targets",
    "--",
    "-D",
    "warnings",
];
const DOC: [&str; 5] = [
    "doc",
    "--locked",
    "--workspace",
    "--no-deps",
    "--document-private-items",
];
// Always the whole workspace: one package alone would have other features of its dependencies, which would be compiled once more.
const NAMESPACES: [&str; 3] = ["--workspace", "--profile", "namespaces"];
const SCENARIOS: [&str; 3] = ["--workspace", "--profile", "qa"];
const PEERS: [&str; 4] = [
    "--workspace",
    "--ignore-default-filter",
    "--filterset",
    "binary_id(slapbox-master::integration) & test(/^peer::/)",
];
/// Of the original's node one life is enough: what differs is below what it sees.
const ON_POSTGRES: [&str; 4] = [
    "--workspace",
    "--ignore-default-filter",
    "--filterset",
    "binary_id(slapbox-master::integration) - test(=peer::node::the_original_node_is_served_without_certificates)",
];
/// Where the master's tests find the server.
const TEST_POSTGRES: &str = "SLAPBOX_TEST_POSTGRES";

/// What people type: READMEs are compared with what these say that they can do.
const COMMANDS: [&str; 6] = [
    "build",
    "--workspace",
    "--bin",
    "slapbox",
    "--bin",
    "slapbox-image",
];

const IMAGE: [&str; 4] = [
    "--workspace",
    "--ignore-default-filter",
    "--filterset",
    "binary_id(slapbox-qa::image)",
];

/// These boxes wait more than they work: what machines are booted from later is made meanwhile.
async fn namespaces(host: &Host, scenarios_follow: bool) -> Result<Tally> {
    up::build(host).await?;
    host.has_registry().await?;
    host.has_babeld().await?;
    host.has_nftables().await?;
    build_builder(host).await?;
    let kvm = host.cargo(&["image", "kvm"])?;
    run("build the release that runs a machine", &kvm, &host.logs).await?;
    let mut command = nextest_command(host, &NAMESPACES)?;
    command.env(TEST_PYTHON, Peer::ensure(host).await?.python());
    let beside = match scenarios_follow {
        true => Some(stock_debian(host)?),
        false => None,
    };
    let tally = count(host, "namespaces", &command).await;
    if let Some(job) = beside {
        // Its failure is the scenarios', which try again and tell.
        let _ = job.finish().await;
    }
    tally
}

/// A Debian without anything of ours, which scenarios boot.
fn stock_debian(host: &Host) -> Result<Job> {
    let debian = host.cargo(&["image", "debian"])?;
    Job::start("build a stock Debian", &debian, &host.logs)
}

/// What nodes build software in.
async fn build_builder(host: &Host) -> Result<()> {
    let builder = host.cargo(&["image", "builder"])?;
    run("build the builder", &builder, &host.logs)
        .await
        .map(drop)
}

async fn documentation(host: &Host) -> Result<Tally> {
    let mut command = host.cargo(&DOC)?;
    run(
        "doc",
        command.env("RUSTDOCFLAGS", "-D warnings"),
        &host.logs,
    )
    .await?;
    Ok(Tally::success())
}

async fn image(host: &Host) -> Result<Tally> {
    up::build(host).await?;
    Ok(Tally::success().and(&nextest(host, "image", &IMAGE).await?))
}

async fn one(host: &Host, name: &str, words: &[&str]) -> Result<Tally> {
    run(name, &host.cargo(words)?, &host.logs).await?;
    Ok(Tally::success())
}

/// Counts tests, whether or not all have passed.
async fn nextest(host: &Host, name: &str, words: &[impl AsRef<OsStr>]) -> Result<Tally> {
    count(host, name, &nextest_command(host, words)?).await
}

fn nextest_command(host: &Host, words: &[impl AsRef<OsStr>]) -> Result<Command> {
    let mut command = host.cargo(&["nextest", "run", "--locked", "--no-fail-fast"])?;
    command.args(words).env(product::NOTHING_IS_SKIPPED, "1");
    Ok(command)
}

async fn count(host: &Host, name: &str, command: &Command) -> Result<Tally> {
    let log = host.logs.join(format!("{name}.log"));
    let ended = run(name, command, &host.logs).await;
    let said = std::fs::read_to_string(&log).with_context(|| format!("cannot read {log}"))?;
    match (Tally::of_nextest(&said), ended) {
        (Some(tally), Ok(_)) => Ok(tally),
        (Some(tally), Err(_)) if tally.failed > 0 => Ok(tally),
        (_, Err(error)) => Err(error),
        (None, Ok(_)) => bail!("nextest printed no summary"),
    }
}

fn report(lines: &[String], total: &Tally, start: Instant) -> Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}").context("cannot write the report")?;
    }
    writeln!(out, "{:12} {:>14}", "all", spoken(start.elapsed()))
        .context("cannot write the report")?;
    writeln!(out, "{} passed, {} failed", total.passed, total.failed)
        .context("cannot write the report")?;
    if total.failed > 0 {
        bail!("not everything passed");
    }
    Ok(())
}

fn name_of(stage: Stage) -> String {
    stage
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}
