//! Three servers with the same content: slapproxy, the master by plain HTTP, the master by mutual TLS. They take turns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use slap::forms::InstanceForm;
use slap::{ComputerId, PartitionId};

use super::content::{self, BUSY, PARTITIONS};
use super::enrolment::Applicant;
use super::servers::{self, Program, Server};
use crate::figures::Figure;
use crate::host::Host;
use crate::load::{Line, Tally, Target, Until, get, hammer};
use crate::story::act;

/// What the computer is called where it names itself.
const COMPUTER: &str = "computer";
/// How many call at once.
const LINES: usize = 16;
const ROUNDS: u16 = 5;
const TURN: Duration = Duration::from_secs(3);
/// How many other parameters each instance is requested with before they repeat.
const EDITIONS: u16 = 20;

/// One server and those who call it.
struct Side {
    computer: ComputerId,
    node: Target,
    operator: Target,
}

type Three<T> = [T; 3];

pub(super) async fn measure(
    host: &Host,
    program: &Program,
    folder: &Utf8Path,
) -> Result<Vec<Figure>> {
    let proxy = servers::slapproxy(host, folder, COMPUTER).await?;
    let plain = program.serve_openly(&folder.join("open"), COMPUTER).await?;
    let tls = program.serve_by_tls(&folder.join("tls")).await?;
    let sides = [
        named(&proxy)?,
        named(&plain)?,
        enrolled(program, &folder.join("tls"), &tls).await?,
    ];
    act("fill all three with one computer, 200 partitions, 50 instances");
    for side in &sides {
        content::fill(&side.computer, &side.node, &side.operator).await?;
    }
    let mut figures = documents(&sides).await?;
    figures.extend(polls(&sides[2]).await?);
    figures.extend(requests(&sides).await?);
    let used = [proxy.usage()?, plain.usage()?, tls.usage()?];
    for (name, used) in ["slapproxy", "the master", "the master, TLS"]
        .iter()
        .zip(used)
    {
        let peak = format!("memory after that, peak: {name}");
        figures.push(Figure::watched(&peak, used.peak, "MB"));
        let own = format!("memory after that, its own (PSS): {name}");
        figures.push(Figure::watched(&own, used.pss, "MB"));
    }
    Ok(figures)
}

fn named(server: &Server) -> Result<Side> {
    let target = Target::plain(server.address);
    Ok(Side {
        computer: COMPUTER.parse().context("a computer's name")?,
        node: target.clone(),
        operator: target,
    })
}

async fn enrolled(program: &Program, data: &Utf8Path, server: &Server) -> Result<Side> {
    let mut targets = Vec::new();
    let mut computer = String::new();
    for (number, kind) in (1..).zip(["operator", "node"]) {
        let join = program.token(data, kind, 1)?;
        let stranger = Target::pinned(server.address, join.ca)?;
        let enrolled = Applicant::new(&join, number)?.enrol(&stranger).await?;
        targets.push(enrolled.target(server.address)?);
        computer = enrolled.reference;
    }
    let [operator, node] = targets.try_into().ok().context("two have enrolled")?;
    Ok(Side {
        computer: computer.parse().context("a computer's name")?,
        node,
        operator,
    })
}

async fn documents(sides: &Three<Side>) -> Result<Vec<Figure>> {
    act("full documents");
    let calls = sides
        .each_ref()
        .map(|side| Arc::new(vec![full(&side.computer, "")]));
    let mut tallies: Three<Tally> = Default::default();
    for _ in 0..ROUNDS {
        for ((side, calls), tally) in sides.iter().zip(&calls).zip(&mut tallies) {
            tally.add(hammer(&side.node, LINES, calls, 200, Until::Time(TURN)).await?);
        }
    }
    Ok(rows("full documents", 100.0, &tallies))
}

fn full(computer: &ComputerId, more: &str) -> Vec<u8> {
    let path = format!("/getFullComputerInformation?computer_id={computer}");
    get(&path, more)
}

/// What a node's polls cost: when nothing changed, and right after something did.
async fn polls(side: &Side) -> Result<Vec<Figure>> {
    let mut line = Line::to(side.node.clone());
    let place = InstanceForm {
        computer: side.computer.clone(),
        partition: PartitionId::indexed(0),
    };
    let mut anew = Tally::default();
    for turn in 0..200 {
        let report = content::failure(&place, &format!("attempt {turn}"));
        line.ask(&report).await?.must_be_good()?;
        let asked = Instant::now();
        let answer = line.ask(&full(&side.computer, "")).await?;
        anew.count(asked.elapsed(), answer.status == 200);
    }
    let answer = line.ask(&full(&side.computer, "")).await?;
    let tag = answer.tag().context("a document without a tag")?;
    let known = full(&side.computer, &format!("If-None-Match: {tag}\r\n"));
    let calls = Arc::new(vec![known]);
    let same = hammer(&side.node, LINES, &calls, 304, Until::Time(TURN)).await?;
    Ok(vec![
        Figure::watched("document built anew, TLS, p50", anew.within(50), "ms"),
        Figure::watched("document built anew, TLS, p99", anew.within(99), "ms"),
        Figure::watched("polls that find nothing new, TLS", same.rate(), "/s"),
        Figure::watched(
            "polls that find nothing new, TLS, p99",
            same.within(99),
            "ms",
        ),
        Figure::at_most(
            0.0,
            "polls that failed",
            count(anew.errors + same.errors),
            "",
        ),
    ])
}

async fn requests(sides: &Three<Side>) -> Result<Vec<Figure>> {
    act("requests");
    let mut again: Three<Tally> = Default::default();
    let calls = sides.each_ref().map(|side| {
        let editions = (1..=EDITIONS).flat_map(|edition| {
            (0..BUSY).map(move |number| content::request(&side.computer, number, edition))
        });
        Arc::new(editions.collect::<Vec<_>>())
    });
    for _ in 0..ROUNDS {
        for ((side, calls), tally) in sides.iter().zip(&calls).zip(&mut again) {
            tally.add(hammer(&side.operator, LINES, calls, 200, Until::Time(TURN)).await?);
        }
    }
    let mut new: Three<Tally> = Default::default();
    let each = (PARTITIONS - BUSY) / ROUNDS;
    for round in 0..ROUNDS {
        let first = BUSY + round * each;
        for (side, tally) in sides.iter().zip(&mut new) {
            let calls = (first..first + each)
                .map(|number| content::request(&side.computer, number, 0))
                .collect();
            let calls = Arc::new(calls);
            tally.add(hammer(&side.operator, LINES, &calls, 200, Until::AllMade).await?);
        }
    }
    let mut figures = rows("requests, other parameters", 20.0, &again);
    figures.extend(rows("requests, new instances", 20.0, &new));
    Ok(figures)
}

fn rows(what: &str, goal: f64, tallies: &Three<Tally>) -> Vec<Figure> {
    let [proxy, plain, tls] = tallies;
    let mut figures = vec![
        Figure::at_least(
            goal,
            &format!("{what}: times slapproxy"),
            plain.rate() / proxy.rate(),
            "",
        ),
        Figure::watched(
            &format!("{what}: times slapproxy, TLS"),
            tls.rate() / proxy.rate(),
            "",
        ),
    ];
    for (name, tally) in ["slapproxy", "master", "master, TLS"].iter().zip(tallies) {
        for (part, value, unit) in [
            ("", tally.rate(), "/s"),
            (", p50", tally.within(50), "ms"),
            (", p99", tally.within(99), "ms"),
        ] {
            let name = format!("{what}: {name}{part}");
            figures.push(Figure::watched(&name, value, unit));
        }
    }
    let failed = plain.errors + tls.errors;
    figures.push(Figure::at_most(
        0.0,
        &format!("{what}: failed"),
        count(failed),
        "",
    ));
    let failed = count(proxy.errors);
    figures.push(Figure::watched(
        &format!("{what}: failed at slapproxy"),
        failed,
        "",
    ));
    figures
}

pub(super) fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
