//! Passes over 200 instances of which none has changed: from `systemctl reload slapbox-agent`, until the agent says in its journal that it
//! has asked its master, looked at every partition, and found nothing to do. And what the agent's memory is then.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::stage::{Stage, now};
use crate::eventually::{eventually, seconds};
use crate::figures::Figure;

const PASSES: usize = 5;
const BETWEEN: Duration = Duration::from_secs(6);
const AGENT: &str = "system.slice/slapbox-agent.service";
/// What the agent says when a pass that somebody asked for has ended.
const ENDED: &str = "looked at everything, as was asked";

pub(super) async fn measure(stage: &Stage<'_>, what: &str) -> Result<Vec<Figure>> {
    stage.is_calm().await?;
    let mut times = Vec::new();
    let before = stage.cpu(AGENT)?;
    for _ in 0..PASSES {
        times.push(one(stage).await?);
        // Who asks has all promises looked at, too, after the pass.
        tokio::time::sleep(BETWEEN).await;
    }
    let cpu = (stage.cpu(AGENT)? - before) / crate::load::number(PASSES);
    times.sort_by(f64::total_cmp);
    let slowest = times.last().copied().unwrap_or_default();
    let name = |it: &str| format!("{what}: 200 unchanged partitions, {it}");
    let (rss, peak) = memory(stage)?;
    Ok(vec![
        Figure::at_most(1.0, &name("the slowest of 5 passes"), slowest, "s"),
        Figure::watched(&name("median"), times[PASSES / 2], "s"),
        Figure::watched(&name("the agent's processor time"), cpu, "s"),
        Figure::at_most(
            24.0,
            &format!("{what}: agent's RSS with 200 busy partitions"),
            rss,
            "MB",
        ),
        Figure::watched(
            &format!("{what}: agent's RSS, the most until then"),
            peak,
            "MB",
        ),
    ])
}

/// Asks for a pass, and says how long it took until it had ended.
async fn one(stage: &Stage<'_>) -> Result<f64> {
    let asked = now();
    stage.cell.looks_again()?;
    let ended = eventually("the pass has ended", async || {
        let line = format!(
            "journalctl --unit slapbox-agent --output short-unix --since @{asked:.6} --grep '{ENDED}' | tail -n 1"
        );
        let said = stage.shell(&line)?;
        let time = said.split_whitespace().next().and_then(|it| it.parse::<f64>().ok());
        let time = time.with_context(|| format!("not yet: {said}"))?;
        ensure!(time > asked, "not yet");
        Ok(time)
    })
    .within(seconds(60))
    .await?;
    Ok(ended - asked)
}

/// The agent's memory and the most that it was, in MB.
fn memory(stage: &Stage<'_>) -> Result<(f64, f64)> {
    let said = stage.shell(
        "cat /proc/$(systemctl show --property MainPID --value slapbox-agent.service)/status",
    )?;
    let field = |name: &str| {
        let value = said.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = value.and_then(|it| it.split_whitespace().next()?.parse::<f64>().ok());
        kilobytes
            .map(|it| it * 1024.0 / 1e6)
            .context("the kernel does not say")
    };
    Ok((field("VmRSS:")?, field("VmHWM:")?))
}
