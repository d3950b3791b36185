//! What is typed: the daemon itself, and commands that look without touching.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use camino::Utf8PathBuf;
use clap::{Parser, Subcommand};
use tokio::time::sleep;

use crate::instances::container::enter::enter;
use crate::life::{self, Life};
use crate::outlook::outlook;
use crate::places::Places;
use crate::status::{Board, Status};
use crate::world::World;
use crate::{addresses, config, console, notify, status};

/// The daemon of a Slapbox node.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Arguments {
    /// How much to say: error, warn, info, debug, trace
    #[arg(long, default_value = "info", env = "SLAPBOX_LOG", global = true)]
    pub log: tracing::Level,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Provision, enrol and keep this node as its master wants it (the default)
    Run {
        /// Draw the screen of a box on tty1, the serial port and the kernel's consoles
        #[arg(long)]
        screen: bool,
    },
    /// Print what would be done next, without doing it
    Plan,
    /// Make the partitions once, without a master
    Format(crate::format::Format),
    /// Become the container that a folder describes: what the units of stock images run
    #[command(hide = true)]
    Contain {
        /// What the daemon has laid out
        bundle: Utf8PathBuf,
    },
    /// Pack what was built, for others: what the units of offers run
    #[command(hide = true)]
    Pack(crate::software::cache::Pack),
    /// Say whether a configuration document is good
    CheckConfig {
        /// The document, as it would be put on a stick
        file: Utf8PathBuf,
    },
}

/// Does what was typed.
pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok()
        .context("another TLS provider is installed already")?;
    match arguments.command.unwrap_or(Command::Run { screen: false }) {
        Command::Run { screen } => block_on(daemon(screen)),
        Command::Plan => block_on(plan()),
        Command::Format(format) => block_on(async {
            format.run().await?;
            Ok(ExitCode::SUCCESS)
        }),
        Command::Contain { bundle } => match enter(&bundle)? {},
        Command::Pack(pack) => {
            pack.run()?;
            Ok(ExitCode::SUCCESS)
        }
        Command::CheckConfig { file } => check_config(&file),
    }
}

/// The work is done on the first thread, the screen is drawn on another.
fn block_on(task: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(4)
        .thread_stack_size(1024 * 1024)
        .enable_all()
        .build()
        .context("the runtime cannot be started")?
        .block_on(task)
}

async fn daemon(screen: bool) -> anyhow::Result<ExitCode> {
    let credentials = std::env::var("CREDENTIALS_DIRECTORY")
        .ok()
        .map(Utf8PathBuf::from);
    let places = Places::of_box(credentials);
    let version = version(&places);
    let board = Board::new(Status {
        version: version.clone(),
        ..Status::default()
    });
    let asked = notify::requests().context("signals cannot be heard")?;
    let life = Life {
        places,
        board,
        version,
        world: World::real(),
        asked,
    };
    notify::ready();
    show(&life, screen);
    tokio::select! {
        end = life::live(&life) => match end {
            Ok(end) => {
                tracing::info!("{end}");
                Ok(ExitCode::SUCCESS)
            }
            Err(error) => {
                // The screen has a moment to say it before systemd starts the next life.
                life.board.update(|status| status.notices = vec![format!("{error:#}")]);
                sleep(Duration::from_secs(3)).await;
                Err(error)
            }
        },
        // In the same task, so that systemd notices when it is stuck.
        () = notify::run(life.board.follow()) => anyhow::bail!("the watchdog ended"),
    }
}

/// What shows the status has tasks of its own: it never waits for the work, nor the work for it.
fn show(life: &Life, screen: bool) {
    let Life {
        places,
        board,
        world,
        ..
    } = life.clone();
    tokio::spawn(async move {
        let draw = async {
            if screen {
                console::run(&places, board.follow(), world).await;
            }
        };
        tokio::join!(
            draw,
            status::publish(&places, board.follow()),
            addresses::follow(&board),
        )
    });
}

async fn plan() -> anyhow::Result<ExitCode> {
    let places = Places::of_box(None);
    let text = outlook(&places).await?;
    say(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn check_config(file: &Utf8PathBuf) -> anyhow::Result<ExitCode> {
    let bytes = std::fs::read(file).with_context(|| format!("{file} cannot be read"))?;
    match config::text(&bytes).and_then(config::parse) {
        Ok(settings) => {
            say(&format!("{file}: good, for a {}\n", settings.role.name()))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(mistake) => {
            say(&format!("{file}: {mistake}\n"))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    io::stdout()
        .write_all(text.as_bytes())
        .context("nobody listens")
}

/// The image's version, the package's where there is no image, or this program's where there is neither.
fn version(places: &Places) -> String {
    let read = |path: &str| std::fs::read_to_string(places.at(path)).unwrap_or_default();
    let release = read("usr/lib/os-release");
    let image = release
        .lines()
        .find_map(|line| line.strip_prefix("IMAGE_VERSION="));
    let package = read("usr/lib/slapbox/version");
    let known = [
        image.unwrap_or_default().trim_matches('"'),
        package.trim(),
        env!("CARGO_PKG_VERSION"),
    ];
    let known = known.into_iter().find(|version| !version.is_empty());
    known.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_image_or_else_of_the_package() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        let places = Places::under(&root);
        assert_eq!(version(&places), env!("CARGO_PKG_VERSION"));
        std::fs::create_dir_all(places.at("usr/lib/slapbox")).unwrap();
        let put = |path: &str, text: &str| {
            crate::disk::replace(&places.at(path), text.as_bytes()).unwrap();
        };
        put("usr/lib/os-release", "ID=debian\n");
        put("usr/lib/slapbox/version", "0.1.0-42\n");
        assert_eq!(version(&places), "0.1.0-42");
        put(
            "usr/lib/os-release",
            "ID=debian\nIMAGE_VERSION=\"0.1.0-43\"\n",
        );
        assert_eq!(version(&places), "0.1.0-43");
    }
}
