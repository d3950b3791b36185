//! Starts the registry or the node, and ends either at a signal; links stay as they are.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_lc_rs::rand;
use camino::Utf8PathBuf;
use clap::{Args, Parser};
use sd_notify::NotifyState;
use slapbox_re6st::node::{self, Linux, Places, Source};
use slapbox_re6st::reference::Reference;
use slapbox_re6st::registry::{self, Moment, Registry, Settings, parse_settings};
use time::OffsetDateTime;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The overlay of a Slapbox network.
#[derive(Debug, Parser)]
#[command(version)]
enum Arguments {
    /// Gives computers their prefix and tells them whom to talk to.
    Registry(RegistryArguments),
    /// Keeps this computer in the overlay.
    Node(NodeArguments),
}

#[derive(Args, Debug)]
struct RegistryArguments {
    /// File with the keys that the flags have.
    #[arg(long, conflicts_with_all = ["state", "socket", "network", "host"])]
    config: Option<Utf8PathBuf>,
    #[command(flatten)]
    settings: Option<Settings>,
}

#[derive(Args, Debug)]
struct NodeArguments {
    /// Folder with key.pem, certificate.pem, ca.pem and master.json.
    #[arg(
        long,
        env = "CREDENTIALS_DIRECTORY",
        default_value = "/var/lib/slapbox/identity"
    )]
    identity: Utf8PathBuf,
    /// Folder for keys and the last document.
    #[arg(
        long,
        env = "STATE_DIRECTORY",
        default_value = "/var/lib/slapbox-re6st"
    )]
    state: Utf8PathBuf,
    /// Folder for node.json and babeld.conf.
    #[arg(long, env = "RUNTIME_DIRECTORY", default_value = "/run/slapbox-re6st")]
    run: Utf8PathBuf,
    /// Where babeld makes its control socket.
    #[arg(long, default_value = "/run/slapbox-babeld/babeld.sock")]
    babel_socket: Utf8PathBuf,
    #[command(flatten)]
    alone: Option<Alone>,
}

/// A node without a master: who it is it says itself, to a registry on the same machine.
#[derive(Args, Debug)]
#[group(requires_all = ["registry", "computer"])]
struct Alone {
    /// The registry's socket; no master is asked then.
    #[arg(long, conflicts_with = "identity")]
    registry: Utf8PathBuf,
    /// Which computer this is, such as COMP-2.
    #[arg(long)]
    computer: Reference,
    /// UDP port of WireGuard.
    #[arg(long, default_value_t = 6326)]
    port: u16,
    /// `HOST:PORT` at which others reach it.
    #[arg(long)]
    endpoint: Option<String>,
}

impl From<Alone> for Source {
    fn from(alone: Alone) -> Self {
        let overlay = node::Overlay {
            port: alone.port,
            endpoint: alone.endpoint,
        };
        let master = node::Master {
            // Where a master is, its computer is looked for, too; here there is none.
            urls: vec![format!("unix:{}", alone.registry)],
            reference: alone.computer,
            overlay,
            proxy: None,
        };
        Self::Socket {
            socket: alone.registry,
            master,
        }
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(terminal)
        .with_writer(std::io::stderr)
        .init();
    // The only provider in the tree; a second installation is the one way to fail.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start")?;
    runtime.block_on(async {
        let mut terminate =
            signal(SignalKind::terminate()).context("failed to wait for signals")?;
        tokio::select! {
            ended = start(arguments) => ended,
            _ = terminate.recv() => Ok(()),
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })
}

async fn start(arguments: Arguments) -> Result<()> {
    match arguments {
        Arguments::Registry(arguments) => keep_registry(settings(arguments)?).await,
        Arguments::Node(NodeArguments {
            identity,
            state,
            run,
            babel_socket,
            alone,
        }) => {
            let places = Places {
                state,
                run,
                babel_socket,
            };
            let source = alone.map_or(Source::Identity(identity), Source::from);
            let machine = Linux::open().await.context("no links can be made")?;
            node::run(source, &places, machine)
                .await
                .context("the node stopped")
        }
    }
}

fn settings(arguments: RegistryArguments) -> Result<Settings> {
    match (arguments.config, arguments.settings) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("failed to read `{path}`"))?;
            parse_settings(&text).with_context(|| format!("failed to parse `{path}`"))
        }
        (None, Some(settings)) => Ok(settings),
        (None, None) => anyhow::bail!("either --config or --state and --socket must be given"),
    }
}

async fn keep_registry(settings: Settings) -> Result<()> {
    let (mut random, mut serial) = ([0; 5], [0; 16]);
    rand::fill(&mut random)
        .and_then(|()| rand::fill(&mut serial))
        .ok()
        .context("the machine has no randomness")?;
    let moment = Moment {
        now: OffsetDateTime::now_utc(),
        serial,
    };
    let registry =
        Registry::open(&settings, random, moment).context("failed to open the registry")?;
    let network = registry.network();
    tracing::info!(%network, socket = %settings.socket, "the registry is open");
    let _ = sd_notify::notify(&[
        NotifyState::Ready,
        NotifyState::Status(&format!("serves {network}")),
    ]);
    tokio::select! {
        served = registry::serve(Arc::new(registry), &settings.socket) => served.context("failed to serve"),
        () = watch() => Ok(()),
    }
}

/// Tells systemd that the loop turns, for ever.
async fn watch() {
    let interval = sd_notify::watchdog_enabled().unwrap_or(Duration::from_secs(90)) / 3;
    loop {
        let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        tokio::time::sleep(interval).await;
    }
}
