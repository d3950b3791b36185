//! `cargo qa …`: the bench's commands. An interrupt ends what runs and leaves no process behind.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use slapbox_qa::figures::{self, Part};
use slapbox_qa::stages::{self, Stage};
use slapbox_qa::{story, up};
use tokio::signal::unix::{SignalKind, signal};

/// Boots machines and asks whether the product works.
#[derive(Debug, Parser)]
#[command(name = "cargo qa")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Boot a master and a node, and show a service that answers over the overlay.
    Up {
        /// End with the verdict instead of staying.
        #[arg(long)]
        once: bool,
        /// Keep the machines' disks and logs.
        #[arg(long)]
        keep: bool,
    },
    /// Run every check, or the named stages.
    Test { stages: Vec<Stage> },
    /// Measure the product against its goals: all of it, or the named parts.
    Bench {
        parts: Vec<Part>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            story::act(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let work = async {
        match arguments.command {
            Command::Up { once, keep } => up::up(up::Wish { once, keep }).await,
            Command::Test { stages } => stages::test(&stages).await,
            Command::Bench { parts, json } => figures::bench(&parts, json).await,
        }
    };
    tokio::select! {
        // What can end well by itself at an interrupt, does.
        biased;
        ended = work => ended,
        _ = tokio::signal::ctrl_c() => bail!("interrupted; everything that was started has been ended"),
        _ = terminated.recv() => bail!("asked to end; everything that was started has been ended"),
    }
}
