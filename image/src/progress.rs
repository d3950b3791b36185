//! What a person sees while it runs: a line per step on standard error, answers on standard output.

use std::io::Write;
use std::time::{Duration, Instant};

/// A step that takes a while. Says so when it begins and how long it took when it is done.
#[derive(Debug)]
pub(crate) struct Step {
    what: String,
    begun: Instant,
    spoken: Instant,
}

impl Step {
    pub(crate) fn begin(what: impl Into<String>) -> Self {
        let what = what.into();
        say(&format!("{what} …"));
        let now = Instant::now();
        Self {
            what,
            begun: now,
            spoken: now,
        }
    }

    /// Shows where a long step is, every few seconds at most.
    pub(crate) fn at(&mut self, detail: &str) {
        if self.spoken.elapsed() > Duration::from_secs(5) {
            self.spoken = Instant::now();
            let detail: String = detail.chars().take(90).collect();
            say(&format!(
                "  {:>4} s  {detail}",
                self.begun.elapsed().as_secs()
            ));
        }
    }

    pub(crate) fn done(self) {
        say(&format!("{}: {}", self.what, seconds(self.begun.elapsed())));
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Says a line to the person who waits.
pub(crate) fn say(line: &str) {
    put(&mut std::io::stderr(), &format!("image: {line}"));
}

/// Says why it failed.
pub(crate) fn failed(error: &anyhow::Error) {
    put(&mut std::io::stderr(), &format!("error: {error:#}"));
}

/// Prints what was asked for, for a person or a program.
pub(crate) fn answer(text: &str) {
    put(&mut std::io::stdout(), text);
}

/// A reader that went away is no error of ours.
fn put(to: &mut impl Write, text: &str) {
    let _ = writeln!(to, "{text}");
    let _ = to.flush();
}
