//! A load at a steady pace, as people make it: whether answers are slow or not, the next call comes when it is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::{Line, Tally, Target};

/// How many connections share a pace: a call waits for the answer before only when that took very long.
const LINES: u32 = 32;

/// Makes a call so many times a second, until it is told to end. What counts is the time since the call was due if its
/// connection was still waiting for another answer then, and since it was sent if not.
pub async fn pace(
    target: &Target,
    call: &[u8],
    each_second: u32,
    end: &Arc<AtomicBool>,
) -> Result<Tally> {
    let begun = Instant::now();
    let step = Duration::from_secs(1) / each_second;
    let mut lines = Vec::new();
    for first in 0..LINES {
        let (target, call, end) = (target.clone(), call.to_vec(), Arc::clone(end));
        lines.push(tokio::spawn(async move {
            let mut line = Line::to(target);
            let mut tally = Tally::default();
            let mut due = begun + step * first;
            while !end.load(Ordering::Relaxed) {
                let is_late = due <= Instant::now();
                tokio::time::sleep_until(due.into()).await;
                let asked = if is_late { due } else { Instant::now() };
                let answer = line.ask(&call).await;
                tally.count(asked.elapsed(), answer.is_ok_and(|it| it.status == 200));
                due += step * LINES;
            }
            tally
        }));
    }
    let mut all = Tally::default();
    for line in lines {
        all.add(line.await.context("a line of the load failed")?);
    }
    all.lasted(begun.elapsed());
    Ok(all)
}
