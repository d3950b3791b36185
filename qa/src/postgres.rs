//! A PostgreSQL server of the bench's own: Debian's, in a folder that goes with it, reached by a socket in that folder alone.

use std::process::Command;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::child::Child;
use crate::eventually::{eventually, seconds};
use crate::host::is_root;
use crate::run::run;

/// The server refuses to run as root; its Debian package makes this user.
const USER: &str = "postgres";

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Postgres {
    server: Child,
    folder: tempfile::TempDir,
}

impl Postgres {
    /// Starts a server with an empty database. What it is told to keep it loses at a power cut: it lives shorter than that.
    pub async fn start(logs: &Utf8Path) -> Result<Self> {
        let programs = programs().context("PostgreSQL is not installed")?;
        let folder = tempfile::Builder::new()
            .prefix("slapbox-postgres-")
            .tempdir()
            .context("cannot make a folder for PostgreSQL")?;
        let path = Utf8Path::from_path(folder.path()).context("a folder that is no text")?;
        if is_root() {
            let mut give = Command::new("chown");
            run(
                "give PostgreSQL its folder",
                give.args([USER, path.as_str()]),
                logs,
            )
            .await?;
        }
        let data = path.join("data");
        let mut make = as_user(&programs.join("initdb"));
        make.args([
            "--auth",
            "trust",
            "--username",
            USER,
            "--no-sync",
            "--pgdata",
        ])
        .arg(&data);
        run("make a PostgreSQL server", &make, logs).await?;
        let mut serve = as_user(&programs.join("postgres"));
        serve
            .args([
                "-c",
                "listen_addresses=",
                "-c",
                "fsync=off",
                "-c",
                "max_connections=300",
            ])
            .args(["-k", path.as_str(), "-D", data.as_str()]);
        let log = logs.join("postgresql-server.log");
        let mut server = Self {
            server: Child::start("PostgreSQL", &serve, &log)?,
            folder,
        };
        eventually("PostgreSQL takes calls", async || {
            server.server.must_live()?;
            let ready = server.server.said().contains("ready to accept connections");
            anyhow::ensure!(ready, "{}", server.server.last_words());
            Ok(())
        })
        .within(seconds(60))
        .await?;
        Ok(server)
    }

    /// Returns the URL of its first database, in which others may be made.
    pub fn url(&self) -> String {
        format!(
            "postgres://{USER}@localhost/postgres?host={}",
            self.folder.path().display()
        )
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It removes its shared memory when it is asked to end.
        self.server.end();
    }
}

/// Returns where Debian puts the newest server's programs.
pub fn programs() -> Option<Utf8PathBuf> {
    let versions = Utf8Path::new("/usr/lib/postgresql").read_dir_utf8().ok()?;
    versions
        .flatten()
        .filter_map(|entry| {
            let version: u32 = entry.file_name().parse().ok()?;
            let programs = entry.path().join("bin");
            programs
                .join("initdb")
                .is_file()
                .then_some((version, programs))
        })
        .max()
        .map(|(_, programs)| programs)
}

/// The kernel forgets whose death ends a process when the process changes its user: it is said again after that.
fn as_user(program: &Utf8Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", USER, "--regid", USER, "--init-groups"])
        .args(["--pdeathsig", "KILL", "--", program.as_str()]);
    command
}
