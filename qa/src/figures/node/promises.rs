//! What it costs to look at five promises a minute in each of 200 partitions: all processor time of the box (agent, service manager, bus,
//! journal, the promises' own units and the idle services) while nothing else happens in it. The promises are next to nothing themselves.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::PARTITIONS;
use super::stage::Stage;
use crate::figures::Figure;
use crate::story::{act, detail};

/// The agent looks at a promise at least that often.
const WINDOW: Duration = Duration::from_secs(120);
const A_MINUTE: f64 = 1000.0;

/// Those who spend it, by their control groups; the first is the whole box.
const SPENDERS: [(&str, &str); 6] = [
    ("all", "."),
    ("agent", "system.slice/slapbox-agent.service"),
    ("systemd", "init.scope"),
    ("bus", "system.slice/dbus-broker.service"),
    ("journal", "system.slice/systemd-journald.service"),
    ("promises and services", "slappart*.slice"),
];

pub(super) async fn measure(stage: &Stage<'_>) -> Result<Vec<Figure>> {
    let five = stage.release("five.oci.tar");
    stage.has_release(&five).await?;
    stage.process(0..PARTITIONS, &five, "three").await?;
    stage.is_calm().await?;
    act(format_args!("count promises for {} s", WINDOW.as_secs()));
    let before = spent(stage)?;
    let looks = counted(stage)?;
    tokio::time::sleep(WINDOW).await;
    let looks = counted(stage)? - looks;
    let after = spent(stage)?;
    ensure!(looks > 0.0, "nobody looks at promises");
    detail(format_args!("{looks} looks"));
    // Of one core, in hundredths, for a thousand looks a minute.
    let share = |spent: f64| spent / looks * A_MINUTE / 60.0 * 100.0;
    let shares = SPENDERS.iter().zip(before.iter().zip(&after));
    let shares = shares.map(|((name, _), (before, after))| (name, share(after - before)));
    let figures = shares
        .enumerate()
        .map(|(number, (name, share))| match number {
            0 => Figure::at_most(5.0, "promises, 1,000 a minute: of one core", share, "%"),
            _ => Figure::watched(&format!("promises: of that, {name}"), share, "%"),
        });
    let pace = looks / WINDOW.as_secs_f64() * 60.0;
    let pace = Figure::watched("promises: looks in a minute", pace, "");
    Ok(figures.chain([pace]).collect())
}

fn spent(stage: &Stage<'_>) -> Result<Vec<f64>> {
    let groups = SPENDERS.iter();
    groups.map(|(_, groups)| stage.cpu(groups)).collect()
}

/// How many looks there were since the partitions were made.
fn counted(stage: &Stage<'_>) -> Result<f64> {
    let said = stage.shell("cat /srv/slapgrid/slappart*/var/looks | wc -l")?;
    Ok(said.trim().parse()?)
}
