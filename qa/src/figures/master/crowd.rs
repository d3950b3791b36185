//! The master with two thousand nodes, by mutual TLS, as our agent calls it: each holds a long poll, and asks for its document once a
//! minute, with the tag that it has, over a connection that it closes after 5 s of silence. Then a hundred enrol each second.

mod node;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::comparison::count;
use super::content;
use super::enrolment::{Applicant, Enrolled};
use super::servers::{Program, Server};
use crate::figures::Figure;
use crate::load::{Line, Tally, Target, Usage};
use crate::story::{act, detail};
use node::{Ledger, Node, Woken};

const NODES: u32 = 2_000;
const PARTITIONS: u16 = 200;
/// As long as a node waits between its polls.
const MINUTE: Duration = Duration::from_secs(60);
/// How many enrol or announce at once while the crowd gathers.
const AT_ONCE: usize = 8;
const ENROLMENTS: u32 = 1_000;
const BETWEEN_ENROLMENTS: Duration = Duration::from_millis(10);
const MEMORY_MB: f64 = 64.0;
/// How long a node may take to be woken before that counts as an error.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn measure(program: &Program, folder: &Utf8Path) -> Result<Vec<Figure>> {
    let data = folder.join("crowd");
    let master = program.serve_by_tls(&data).await?;
    let join = program.token(&data, "operator", 1)?;
    let stranger = Target::pinned(master.address, join.ca)?;
    let operator = Applicant::new(&join, 1)?.enrol(&stranger).await?;
    let join = program.token(&data, "node", 10_000)?;
    act(format_args!(
        "{NODES} nodes enrol and announce {PARTITIONS} partitions each"
    ));
    let nodes = gather(&master, &stranger, &join).await?;
    let gathered = master.usage()?;
    detail(format_args!(
        "the master took {:.1} s of a processor, and {:.1} MB at most",
        gathered.cpu, gathered.peak
    ));

    act("make the keys of a thousand more");
    let applicants = (0..ENROLMENTS)
        .map(|number| Applicant::new(&join, 100_000 + number))
        .collect::<Result<Vec<_>>>()?;

    act("they poll and watch, a minute to begin with");
    let ledger = Arc::new(Ledger::default());
    let (woken, wakes) = mpsc::unbounded_channel();
    let mut crowd = JoinSet::new();
    for (index, node) in (0..NODES).zip(&nodes) {
        node.live(&mut crowd, MINUTE * index / NODES, &ledger, &woken);
    }
    sleep(MINUTE + Duration::from_secs(5)).await;
    let warm = master.usage()?;
    let mut figures = steady_minute(&master, &ledger, &nodes, &operator, wakes).await?;
    figures.extend(burst(&master, &ledger, &stranger, applicants).await?);
    let most = master.usage()?;
    figures.push(Figure::watched(
        "2,000 nodes: memory, steady (RSS)",
        warm.rss,
        "MB",
    ));
    figures.push(Figure::at_most(
        MEMORY_MB,
        "2,000 nodes: memory, peak",
        most.peak,
        "MB",
    ));
    Ok(figures)
}

/// Enrols everybody through the API, and has them announce themselves.
async fn gather(master: &Server, stranger: &Target, join: &slap::JoinBlob) -> Result<Vec<Node>> {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut arriving = JoinSet::new();
    for number in 0..NODES {
        let applicant = Applicant::new(join, 10 + number)?;
        let (room, stranger, address) = (Arc::clone(&room), stranger.clone(), master.address);
        arriving.spawn(async move {
            let _place = room.acquire().await.context("no room")?;
            let enrolled = applicant.enrol(&stranger).await?;
            let node = Node::new(&enrolled, address)?;
            let mut line = Line::to(node.target.clone());
            let announcement = content::announcement(&node.computer, PARTITIONS);
            line.ask(&announcement).await?.must_be_good()?;
            line.close().await;
            anyhow::Ok(node)
        });
    }
    let mut nodes = Vec::new();
    while let Some(node) = arriving.join_next().await {
        nodes.push(node.context("a node failed")??);
    }
    Ok(nodes)
}

/// A minute of polls; each second the operator wants something of another node.
async fn steady_minute(
    master: &Server,
    ledger: &Ledger,
    nodes: &[Node],
    operator: &Enrolled,
    mut wakes: mpsc::UnboundedReceiver<Woken>,
) -> Result<Vec<Figure>> {
    act("a steady minute");
    ledger.take();
    let (before, own) = (master.usage()?, Usage::of(std::process::id())?);
    let begun = Instant::now();
    let mut line = Line::to(operator.target(master.address)?);
    let mut waking = Tally::default();
    for node in nodes.iter().step_by(nodes.len() / 60).take(58) {
        match wake(node, &mut line, &mut wakes).await? {
            Some(took) => waking.count(took, true),
            None => waking.count(PATIENCE, false),
        }
        sleep(Duration::from_secs(1)).await;
    }
    sleep(MINUTE.saturating_sub(begun.elapsed())).await;
    let (after, own_after) = (master.usage()?, Usage::of(std::process::id())?);
    let lived = ledger.take();
    let watched = |what: &str, value, unit| {
        let name = format!("2,000 nodes: {what}");
        Figure::watched(&name, value, unit)
    };
    let at_most = |goal, what: &str, value, unit| {
        let name = format!("2,000 nodes: {what}");
        Figure::at_most(goal, &name, value, unit)
    };
    let errors = count(lived.errors() + waking.errors);
    Ok(vec![
        watched("polls in a minute", count(lived.polls.good()), ""),
        watched("poll, p50", lived.polls.within(50), "ms"),
        watched("poll, p99", lived.polls.within(99), "ms"),
        watched("poll and handshake, p50", lived.connected.within(50), "ms"),
        watched("poll and handshake, p99", lived.connected.within(99), "ms"),
        watched("held polls that ended", count(lived.watches.good()), ""),
        watched("a wish wakes its node, p50", waking.within(50), "ms"),
        at_most(
            1_000.0,
            "a wish wakes its node, slowest",
            waking.within(100),
            "ms",
        ),
        at_most(0.0, "errors", errors, ""),
        watched("the master's processor time", after.cpu - before.cpu, "s"),
        watched("the bench's own", own_after.cpu - own.cpu, "s"),
    ])
}

/// Wants something of a node, and returns how long it took until its held poll was answered.
async fn wake(
    node: &Node,
    operator: &mut Line,
    wakes: &mut mpsc::UnboundedReceiver<Woken>,
) -> Result<Option<Duration>> {
    while wakes.try_recv().is_ok() {}
    let call = content::supply(&node.computer, "https://lab.example.com/wake.cfg");
    let wished = Instant::now();
    operator.ask(&call).await?.must_be_good()?;
    let woken = tokio::time::timeout(PATIENCE, async {
        while let Some(woken) = wakes.recv().await {
            if woken.computer == node.computer {
                return Some(woken.at.duration_since(wished));
            }
        }
        None
    });
    Ok(woken.await.ok().flatten())
}

/// Enrolments at a steady rate, whoever is still waiting; the crowd goes on.
async fn burst(
    master: &Server,
    ledger: &Ledger,
    stranger: &Target,
    applicants: Vec<Applicant>,
) -> Result<Vec<Figure>> {
    act("a hundred enrolments a second, for ten seconds");
    ledger.take();
    let before = master.usage()?;
    let mut enrolling = JoinSet::new();
    let mut ticks = tokio::time::interval(BETWEEN_ENROLMENTS);
    let begun = Instant::now();
    for applicant in applicants {
        ticks.tick().await;
        let stranger = stranger.clone();
        enrolling.spawn(async move {
            let asked = Instant::now();
            let enrolled = applicant.enrol(&stranger).await;
            (asked.elapsed(), enrolled.is_ok())
        });
    }
    let sent = begun.elapsed().as_secs_f64();
    let mut tally = Tally::default();
    while let Some(enrolled) = enrolling.join_next().await {
        let (took, good) = enrolled.context("an enrolment failed")?;
        tally.count(took, good);
    }
    let after = master.usage()?;
    let lived = ledger.take();
    Ok(vec![
        Figure::watched(
            "enrolments sent a second",
            f64::from(ENROLMENTS) / sent,
            "/s",
        ),
        Figure::watched("enrolment with its handshake, p50", tally.within(50), "ms"),
        Figure::watched("enrolment with its handshake, p99", tally.within(99), "ms"),
        Figure::at_most(0.0, "enrolments: errors", count(tally.errors), ""),
        Figure::watched(
            "poll with its handshake meanwhile, p99",
            lived.connected.within(99),
            "ms",
        ),
        Figure::at_most(
            0.0,
            "errors of the crowd meanwhile",
            count(lived.errors()),
            "",
        ),
        Figure::watched(
            "the master's processor time for that",
            after.cpu - before.cpu,
            "s",
        ),
    ])
}
