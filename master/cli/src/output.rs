//! The one way out: answers to standard output, everything else to standard error.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};
use serde::Serialize;

/// Writes a text, at once.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    write!(stdout, "{text}{end}")
        .and_then(|()| stdout.flush())
        .context("cannot write to standard output")
}

/// Writes a value as JSON.
pub(crate) fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).context("cannot make JSON of the answer")?;
    print(&text)
}

/// Writes what was decided, where a program reads it: people see that nothing was complained of.
pub(crate) fn print_done(json: bool, what: &impl Serialize) -> Result<()> {
    if json { print_json(what) } else { Ok(()) }
}

/// Writes a remark or a complaint.
pub(crate) fn complain(text: &str) {
    // Where it cannot be written there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether a reader, such as `head`, had enough.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
