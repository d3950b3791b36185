//! The one way to wait: ask again until the answer is good, and on time-out say what was asked and the last answer.
//! Nothing else in the bench sleeps or retries.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

use crate::accelerator;
use crate::story::{act, detail, shortened, spoken};

const BETWEEN_PROBES: Duration = Duration::from_millis(400);
const BETWEEN_LINES: Duration = Duration::from_secs(10);
const ONE_PROBE: Duration = Duration::from_secs(30);

/// A thing that shall become true.
#[derive(Debug)]
pub struct Eventually<P> {
    what: String,
    probe: P,
}

/// Says that waiting longer is of no use, for example since the machine that was to answer has stopped.
#[derive(Debug)]
pub struct Hopeless(pub String);

impl std::fmt::Display for Hopeless {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Hopeless {}

/// Begins to wait for `what`, which is true when `probe` succeeds.
pub fn eventually<P>(what: impl Into<String>, probe: P) -> Eventually<P> {
    Eventually {
        what: what.into(),
        probe,
    }
}

/// A deadline as scenarios write it, for a machine with hardware virtualisation.
pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A deadline as scenarios write it, for a machine with hardware virtualisation.
pub const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

impl<P> Eventually<P> {
    /// Waits at most `deadline` (longer where machines are emulated) and returns what the probe found.
    pub async fn within<T>(mut self, deadline: Duration) -> Result<T>
    where
        P: AsyncFnMut() -> Result<T>,
    {
        let deadline = deadline * accelerator::patience();
        let start = Instant::now();
        let mut told = Teller::new(self.what.clone(), start);
        act(format_args!("wait until {}", self.what));
        loop {
            let seen = match tokio::time::timeout(ONE_PROBE, (self.probe)()).await {
                Ok(Ok(found)) => {
                    detail(format_args!(
                        "{} after {}",
                        self.what,
                        spoken(start.elapsed())
                    ));
                    return Ok(found);
                }
                Ok(Err(error)) if error.is::<Hopeless>() => {
                    return Err(error.context(format!("{} can no longer come true", self.what)));
                }
                Ok(Err(error)) => error,
                Err(_) => anyhow!("no answer within {}", spoken(ONE_PROBE)),
            };
            let seen = format!("{seen:#}");
            if start.elapsed() >= deadline {
                bail!(
                    "waited {} until {}; last seen: {seen}",
                    spoken(deadline),
                    self.what
                );
            }
            told.hear(&seen);
            tokio::time::sleep(BETWEEN_PROBES).await;
        }
    }
}

/// Tells every few seconds what was last seen.
#[derive(Debug)]
struct Teller {
    what: String,
    start: Instant,
    last_line: Instant,
}

impl Teller {
    fn new(what: String, start: Instant) -> Self {
        Self {
            what,
            start,
            last_line: start,
        }
    }

    fn hear(&mut self, seen: &str) {
        if self.last_line.elapsed() < BETWEEN_LINES {
            return;
        }
        self.last_line = Instant::now();
        detail(format_args!(
            "{}, {}: {}",
            self.what,
            spoken(self.start.elapsed()),
            shortened(seen, 160)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_asks_until_the_answer_is_good() {
        let mut asked = 0;
        let found = eventually("the third answer is good", async || {
            asked += 1;
            if asked < 3 {
                bail!("answer {asked}")
            }
            Ok("good")
        });
        assert_eq!(found.within(seconds(5)).await.unwrap(), "good");
    }

    #[tokio::test]
    async fn a_time_out_says_what_was_asked_and_what_was_last_seen() {
        let never = eventually("pigs fly", async || -> Result<()> {
            bail!("a pig on the ground")
        });
        let said = never.within(Duration::ZERO).await.unwrap_err().to_string();
        assert!(
            said.contains("pigs fly") && said.contains("last seen: a pig on the ground"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn nobody_waits_for_a_machine_that_has_stopped() {
        let dead = eventually("it answers", async || -> Result<()> {
            Err(Hopeless("QEMU has ended".into()).into())
        });
        let said = format!("{:#}", dead.within(minutes(5)).await.unwrap_err());
        assert!(
            said.contains("can no longer come true: QEMU has ended"),
            "{said}"
        );
    }
}
