//! What is measured: the master as a process of this machine, and slapproxy as another.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use slap::JoinBlob;

use crate::child::Child;
use crate::eventually::{eventually, seconds};
use crate::host::Host;
use crate::load::{Line, Target, Usage, get};
use crate::peer::Peer;
use crate::product;
use crate::run::run;
use crate::slapproxy;

/// The master's program, compiled as the image's is.
#[derive(Debug)]
pub(super) struct Program(Utf8PathBuf);

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Server {
    /// What it took of the machine until now.
    pub(super) fn usage(&self) -> Result<Usage> {
        Usage::of(self.child.id())
    }
}

impl Program {
    /// Compiles it, unless that is done.
    pub(super) async fn build(host: &Host) -> Result<Self> {
        let words = [
            "build",
            "--release",
            "--locked",
            "--package",
            "slapbox-master",
        ];
        run("compile the master", &host.cargo(&words)?, &host.logs).await?;
        Ok(Self(product::target()?.join("release/slapbox-master")))
    }

    /// Starts a master that asks nobody who they are.
    pub(super) async fn serve_openly(&self, data: &Utf8Path, computer: &str) -> Result<Server> {
        let mut command = self.command();
        command
            .args(["--data", data.as_str(), "--insecure-http", "127.0.0.1:0"])
            .args(["--default-computer", computer]);
        self.serve(&command, data).await
    }

    /// Starts a master that is called by mutual TLS.
    pub(super) async fn serve_by_tls(&self, data: &Utf8Path) -> Result<Server> {
        let mut command = self.command();
        command
            .args(["--data", data.as_str(), "--listen", "127.0.0.1:0"])
            .args(["--url", "https://127.0.0.1:1"]);
        self.serve(&command, data).await
    }

    /// The program, as the image's unit starts it.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        command.env("MALLOC_ARENA_MAX", "2");
        command
    }

    async fn serve(&self, command: &Command, data: &Utf8Path) -> Result<Server> {
        let mut child = Child::start("the master", command, &data.with_extension("log"))?;
        let address = eventually("the master is ready", async || {
            child.must_live()?;
            let said = child.said();
            let (_, rest) = said
                .split_once("the master is ready address=")
                .context("it is not ready yet")?;
            rest.split_whitespace()
                .next()
                .and_then(|it| it.parse().ok())
                .context("it does not say where")
        })
        .within(seconds(30))
        .await?;
        Ok(Server { child, address })
    }

    /// Makes a token, by access to the master's files.
    pub(super) fn token(&self, data: &Utf8Path, kind: &str, uses: usize) -> Result<JoinBlob> {
        let made = Command::new(&self.0)
            .args(["token", "--data", data.as_str(), "--kind", kind])
            .args(["--uses", &uses.to_string()])
            .output()
            .context("cannot make a token")?;
        ensure!(made.status.success(), "a token cannot be made");
        let line = String::from_utf8(made.stdout).context("a token that is no text")?;
        line.trim().parse().context("a token that is no join blob")
    }
}

/// Starts slapproxy, with an empty database in a file of the same disk.
pub(super) async fn slapproxy(host: &Host, folder: &Utf8Path, computer: &str) -> Result<Server> {
    let peer = Peer::ensure(host).await?;
    let address = free_address()?;
    let configuration = slapproxy::configure(folder, address, computer)?;
    let mut command = Command::new(peer.python());
    command.args(slapproxy::START).arg(configuration.as_str());
    let mut child = Child::start("slapproxy", &command, &folder.join("slapproxy.log"))?;
    eventually("slapproxy answers", async || {
        child.must_live()?;
        let mut line = Line::to(Target::plain(address));
        line.ask(&get("/getRunId", "")).await?.must_be_good()
    })
    .within(seconds(60))
    .await?;
    Ok(Server { child, address })
}

fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot find a free port")?;
    listener.local_addr().context("cannot find a free port")
}
