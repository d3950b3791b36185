//! Our overlay on sites of an underlay: a registry on a unix socket, and at each site a node with Debian's babeld beside it, as the
//! image's units would start them. No master: the registry believes who a node says to be.

use std::net::Ipv6Addr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::child::Child;
use crate::eventually::{eventually, seconds};
use crate::story::detail;
use crate::underlay::Site;

/// The UDP port of every node.
const PORT: u16 = 6326;
/// What `slapbox-babeld.service` does in the image: its folder is made anew, since a socket that is there would keep babeld from starting.
const BABELD: &str = "rm -rf /run/babeld
mkdir /run/babeld
exec babeld -c \"$1\" -I /run/babeld/pid -S /run/babeld.state";
/// How often to look whether babeld has its file, and whether it has ended.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
/// After what time it is started again.
const BETWEEN_STARTS: Duration = Duration::from_secs(1);

/// A registry that runs until it is dropped.
#[derive(Debug)]
pub struct OverlayRegistry {
    registry: Option<Child>,
    command: Command,
    program: Utf8PathBuf,
    // Sockets have short names only.
    sockets: tempfile::TempDir,
    folder: Utf8PathBuf,
}

/// A node that runs until it is dropped.
#[derive(Debug)]
pub struct OverlayNode {
    node: Child,
    // Aborted when it is dropped.
    _babeld: JoinSet<()>,
    run: Utf8PathBuf,
}

impl OverlayRegistry {
    /// Starts `slapbox-re6st registry` at a site, whose node is the one on the registry's computer; what it and its nodes have goes into `folder`.
    pub async fn start(program: &Utf8Path, site: &Site, folder: &Utf8Path) -> Result<Self> {
        let sockets = tempfile::Builder::new()
            .prefix("slapbox-overlay-")
            .tempdir()
            .context("cannot make a folder for a socket")?;
        let state = folder.join("registry");
        let mut command = site.command(program.as_str())?;
        command
            .args(["registry", "--state", state.as_str(), "--socket"])
            .arg(sockets.path().join("registry"))
            .args(["--host", &computer(site.number)]);
        let mut registry = Self {
            registry: None,
            command,
            program: program.to_owned(),
            sockets,
            folder: folder.to_owned(),
        };
        registry.begin().await?;
        Ok(registry)
    }

    /// Ends it; its nodes keep what they have.
    pub fn end(&mut self) {
        self.registry = None;
    }

    /// Starts it again, with what it had.
    pub async fn begin(&mut self) -> Result<()> {
        let log = self.folder.join("registry.log");
        let mut registry = Child::start("the overlay's registry", &self.command, &log)?;
        eventually("the overlay's registry is open", async || {
            registry.must_live()?;
            ensure!(registry.said().contains("the registry is open"), "not yet");
            Ok(())
        })
        .within(seconds(20))
        .await?;
        self.registry = Some(registry);
        Ok(())
    }

    /// Starts a node at a site.
    pub fn start_node(&self, site: &Site) -> Result<OverlayNode> {
        let folder = self.folder.join(format!("node-{}", site.number));
        let run = folder.join("run");
        for made in [&folder, &run] {
            std::fs::create_dir_all(made).with_context(|| format!("cannot create {made}"))?;
        }
        let endpoint = site.endpoint(PORT).map(|it| it.to_string());
        let mut node = site.command(self.program.as_str())?;
        node.args(["node", "--state", folder.join("state").as_str()])
            .args([
                "--run",
                run.as_str(),
                "--babel-socket",
                "/run/babeld/socket",
            ])
            .arg("--registry")
            .arg(self.sockets.path().join("registry"))
            .args(["--computer", &computer(site.number)])
            .args(["--port", &PORT.to_string()]);
        if let Some(endpoint) = endpoint {
            node.args(["--endpoint", &endpoint]);
        }
        let conf = run.join("babeld.conf");
        let mut babeld = site.command("sh")?;
        babeld.args(["-c", BABELD, "sh", conf.as_str()]);
        let mut supervised = JoinSet::new();
        supervised.spawn(supervise(babeld, conf, folder.join("babeld.log")));
        Ok(OverlayNode {
            node: site.start(&node, &folder.join("node.log"))?,
            _babeld: supervised,
            run,
        })
    }
}

impl OverlayNode {
    /// The node's own address on the overlay, once it has one.
    pub fn address(&mut self) -> Result<Option<Ipv6Addr>> {
        self.node.must_live()?;
        let Some(status) = self.status()? else {
            return Ok(None);
        };
        let address = status["address"].as_str().map(str::parse);
        address
            .transpose()
            .context("`node.json` has an address that is none")
    }

    /// How it says to fare, once it says so.
    pub fn status(&self) -> Result<Option<Value>> {
        let path = self.run.join("node.json");
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).with_context(|| format!("{path} is no JSON")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {path}")),
        }
    }
}

/// What the registry calls the node at a site.
fn computer(site: u16) -> String {
    format!("COMP-{site}")
}

/// Starts babeld once its file is there, and again whenever it ends.
async fn supervise(babeld: Command, conf: Utf8PathBuf, log: Utf8PathBuf) {
    let mut look = interval(BETWEEN_LOOKS);
    while !conf.exists() {
        look.tick().await;
    }
    loop {
        match Child::start("babeld", &babeld, &log) {
            Ok(mut child) => {
                while child.verdict().is_none() {
                    look.tick().await;
                }
            }
            Err(error) => detail(format_args!("{error:#}")),
        }
        tokio::time::sleep(BETWEEN_STARTS).await;
    }
}
