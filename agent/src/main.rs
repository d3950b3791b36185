//! `slapbox-agent`: the daemon of a node, and two commands that say what it would do.

use std::process::ExitCode;

use clap::Parser as _;
use slapbox_agent::command::{self, Arguments};

/// glibc's heap keeps what a busy minute needed, in holes between what stays: a third of the agent's memory.
#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
