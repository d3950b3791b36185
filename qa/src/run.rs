//! A long command, such as a build: its output goes into a log, and every few seconds the bench tells the last thing it said.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use camino::Utf8Path;

use crate::child::Child;
use crate::console::plain;
use crate::story::{act, detail, shortened, spoken};

const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
const BETWEEN_LINES: Duration = Duration::from_secs(10);
const LINES_OF_A_FAILURE: usize = 60;

/// A running command.
#[derive(Debug)]
pub struct Job {
    name: String,
    start: Instant,
    child: Child,
}

impl Job {
    /// Starts `command`; its log is `name` in `folder`.
    pub fn start(name: &str, command: &Command, folder: &Utf8Path) -> Result<Self> {
        let log = folder.join(format!("{}.log", name.replace(' ', "-")));
        let child = Child::start(name, command, &log)?;
        Ok(Self {
            name: name.to_owned(),
            start: Instant::now(),
            child,
        })
    }

    /// Waits for its end and returns all that it said; a failure shows the last of it.
    pub async fn finish(mut self) -> Result<String> {
        let mut last_line = Instant::now();
        let verdict = loop {
            if let Some(verdict) = self.child.verdict() {
                break verdict;
            }
            if last_line.elapsed() >= BETWEEN_LINES {
                last_line = Instant::now();
                let words = shortened(&self.child.last_words(), 140);
                detail(format_args!(
                    "{}, {}: {words}",
                    self.name,
                    spoken(self.start.elapsed())
                ));
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        };
        let said = plain(&self.child.said());
        if verdict {
            return Ok(said);
        }
        let lines: Vec<&str> = said.lines().collect();
        for line in lines
            .iter()
            .skip(lines.len().saturating_sub(LINES_OF_A_FAILURE))
        {
            detail(line);
        }
        bail!(
            "{} failed after {}",
            self.name,
            spoken(self.start.elapsed())
        )
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // A build cleans up after itself when it is asked to end.
        self.child.end();
    }
}

/// Runs `command` to its end.
pub async fn run(name: &str, command: &Command, folder: &Utf8Path) -> Result<String> {
    act(name);
    Job::start(name, command, folder)?.finish().await
}
