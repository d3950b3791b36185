//! `slapbox-master`: the command line, the log, and the wait for the end.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use slapbox_master::backup::{self, BackupError, Make, Restore};
use slapbox_master::cli::{self, CaCommand, Cli, Command};
use slapbox_master::clock::{Clock, Entropy};
use slapbox_master::config::{Inputs, ca_in, check_urls, database_of, load_inputs};
use slapbox_master::minting::Mint;
use slapbox_master::serve::{World, start};
use slapbox_master::{ca, chores, limits, local, master, notify};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    log();
    match act(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            // Nobody is left to tell when this fails as well.
            let _closed = writeln!(std::io::stderr(), "slapbox-master: {err:#}");
            ExitCode::FAILURE
        }
    }
}

async fn act(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        None => {
            let file = cli.run.config.as_deref().map(load_inputs).transpose()?;
            run(Inputs::from(cli.run).or(file.unwrap_or_default())).await
        }
        Some(Command::Token {
            data,
            database,
            kind,
            uses,
            lifetime,
            urls,
        }) => {
            let wish = Mint {
                kind: kind.into(),
                uses,
                lifetime,
                ..Mint::operator()
            };
            print(&make_token(&data, database.as_deref(), wish, urls).await?)
        }
        Some(Command::Ca(CaCommand::Rotate { data })) => {
            let authority = ca::rotate(&ca_in(&data))?;
            print(&format!(
                "the new CA is {}; restart the master",
                authority.pin()
            ))
        }
        Some(Command::Ca(CaCommand::Retire {
            data,
            database,
            force,
        })) => {
            let database = database_of(&data, database.as_deref())?;
            local::retire_ca(&data, &database, force, &Clock::system()).await?;
            print("the CA before is retired; restart the master")
        }
        Some(Command::OperatorToken {
            data,
            database,
            urls,
        }) => {
            let wish = Mint::operator();
            let join = make_token(&data, database.as_deref(), wish, urls).await?;
            print(&format!("slapbox login {join}"))
        }
        Some(Command::Backup(wish)) => back_up(wish).await,
        Some(Command::Restore(wish)) => bring_back(wish).await,
    }
}

async fn back_up(wish: cli::Backup) -> anyhow::Result<()> {
    let wish = Make {
        database: database_of(&wish.data, wish.database.as_deref())?,
        data: wish.data,
        releases: !wish.without_releases,
        file: wish.file,
    };
    let file = &wish.file;
    let made = unless_ended(backup::make(&wish, Clock::system().now()))
        .await
        .with_context(|| format!("there is no new backup in `{file}`"))?;
    print(&format!(
        "`{file}` has {} bytes, {} release(s) among them, and the CA's key: keep it as safe as the master",
        made.bytes, made.releases
    ))
}

async fn bring_back(wish: cli::Restore) -> anyhow::Result<()> {
    let wish = Restore {
        file: wish.file,
        data: wish.data,
        database: wish.database,
        replace: wish.replace,
    };
    let data = &wish.data;
    let restored = unless_ended(backup::restore(&wish, Clock::system().now()))
        .await
        .with_context(|| format!("nothing was restored to `{data}`"))?;
    let age = Clock::system().now().since(restored.made_at).as_secs() / 60;
    print(&format!(
        "`{data}` is the master of {age} min ago, with the CA {}. Who enrolled since then has to enrol again, and who was revoked since then has to be revoked again.",
        restored.ca
    ))?;
    match restored.aside {
        Some(aside) => print(&format!("What was there is in `{aside}`.")),
        None => Ok(()),
    }
}

/// Does something unless this program is to end: what is dropped then leaves nothing behind.
async fn unless_ended<T>(act: impl Future<Output = Result<T, BackupError>>) -> anyhow::Result<T> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    tokio::select! {
        done = act => Ok(done?),
        _ = terminate.recv() => Err(BackupError::Interrupted.into()),
        _ = interrupt.recv() => Err(BackupError::Interrupted.into()),
    }
}

async fn run(inputs: Inputs) -> anyhow::Result<()> {
    let world = World {
        clock: Clock::system(),
        entropy: Entropy::system(),
        may_dial: master::is_routable,
    };
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    limits::raise_open_files();
    let server = start(inputs.check()?, world).await?;
    tracing::info!(address = %server.address, "the master is ready");
    notify(&[sd_notify::NotifyState::Ready]);
    let watchdog = tokio::spawn(chores::keep_watchdog(Arc::clone(&server.master)));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("the master stops");
    notify(&[sd_notify::NotifyState::Stopping]);
    watchdog.abort();
    server.stop().await;
    Ok(())
}

async fn make_token(
    data: &camino::Utf8Path,
    database: Option<&str>,
    wish: Mint,
    urls: Vec<String>,
) -> anyhow::Result<String> {
    let (clock, entropy) = (Clock::system(), Entropy::system());
    let database = database_of(data, database)?;
    let urls = check_urls(urls)?;
    Ok(local::make_token(data, &database, wish, urls, &clock, &entropy).await?)
}

fn print(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("cannot write to standard output")
}

fn log() {
    let filter = EnvFilter::try_from_env("SLAPBOX_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        // The journal has the time already.
        log.without_time().init();
    } else {
        log.init();
    }
}
