//! Starts the registry or the node, and ends either at a signal; links stay as they are.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
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
    #[arg(long, conflicts_with_all = ["state", "socket", "network", "host", "domain"])]
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
    /// Folder for node.json, metrics.prom and babeld.conf.
    #[arg(long, env = "RUNTIME_DIRECTORY", default_value = "/run/slapbox-re6st")]
    run: Utf8PathBuf,
    /// Where babeld makes its control socket.
    #[arg(long, default_value = "/run/slapbox-babeld/babeld.sock")]
    babel_socket: Utf8PathBuf,
    /// Where names of the network are answered, by DNS; a port beside those of the overlay, since others need a capability.
    #[arg(long, value_name = "ADDRESS", default_value = "[::1]:6328")]
    names: SocketAddr,
    #[command(flatten)]
    alone: Alone,
}

/// A node without a master: who it is it says itself, to a registry on the same machine.
#[derive(Args, Debug)]
struct Alone {
    /// The registry's socket; no master is asked then, and no identity is read.
    #[arg(long, requires = "computer")]
    registry: Option<Utf8PathBuf>,
    /// Which computer this is, such as COMP-2.
    #[arg(long, requires = "registry")]
    computer: Option<Reference>,
    /// UDP port of WireGuard.
    #[arg(long, default_value_t = 6326, requires = "registry")]
    port: u16,
    /// `HOST:PORT` at which others reach it.
    #[arg(long, requires = "registry")]
    endpoint: Option<String>,
}

impl Alone {
    /// Returns the registry without a master, if one is named.
    fn source(self) -> Option<Source> {
        let (socket, reference) = self.registry.zip(self.computer)?;
        let overlay = node::Overlay {
            port: self.port,
            endpoint: self.endpoint,
        };
        let master = node::Master {
            // Where a master is, its computer is looked for, too; here there is none.
            urls: vec![format!("unix:{socket}")],
            reference,
            overlay,
            proxy: None,
        };
        Some(Source::Socket { socket, master })
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
            names,
            alone,
        }) => {
            let places = Places {
                state,
                run,
                babel_socket,
                names,
            };
            let source = alone.source().unwrap_or(Source::Identity(identity));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Source>, String> {
        let words = ["slapbox-re6st"].into_iter().chain(line.split(' '));
        match Arguments::try_parse_from(words).map_err(|err| err.to_string())? {
            Arguments::Node(arguments) => Ok(arguments.alone.source()),
            Arguments::Registry(_) => panic!("{line} is a node"),
        }
    }

    #[test]
    fn a_node_has_a_master_unless_it_is_told_a_registry() {
        assert_eq!(parsed("node --identity /a --state /b"), Ok(None));
        let source = parsed("node --identity /a --registry /r --computer COMP-2 --port 7");
        let Ok(Some(Source::Socket { socket, master })) = source else {
            panic!("{source:?}");
        };
        assert_eq!((socket.as_str(), master.overlay.port), ("/r", 7));
        assert_eq!(master.reference.as_str(), "COMP-2");
    }

    #[test]
    fn what_belongs_together_is_told_together() {
        for line in [
            "node --registry /r",
            "node --computer COMP-2",
            "node --port 7",
            "node --registry /r --computer ../x",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
