//! `slapbox-agent`: the daemon of a node, and two commands that say what it would do.

use std::process::ExitCode;

use clap::Parser as _;
use slapbox_agent::command::{self, Arguments};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        .with_max_level(arguments.log)
        .init();
    match command::run(arguments) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
