//! Files that a box fetches by http: on the loopback of its cell, or on that of this machine for machines in QEMU.

use std::process::Command;

use anyhow::{Result, ensure};
use camino::Utf8Path;

use crate::cell::Cell;
use crate::child::Child;
use crate::eventually::{eventually, seconds};
use crate::network::{HOST_SEEN_FROM_A_MACHINE, free_tcp_port};

const PORT: &str = "8000";

/// A server of one folder that runs until it is dropped.
#[derive(Debug)]
pub struct Shelf {
    _child: Child,
}

impl Shelf {
    /// Serves `folder` beside a box, by this Python; what it says goes to `log`.
    pub async fn open(
        cell: &Cell,
        python: &Utf8Path,
        folder: &Utf8Path,
        log: &Utf8Path,
    ) -> Result<Self> {
        let serve = cell.namespace().command_beside(python.as_str())?;
        Self::serve(serve, folder, PORT, log).await
    }

    /// Serves `folder`, which may be filled later, on this machine; returns the URL at which machines find it, too.
    pub async fn for_machines(
        python: &Utf8Path,
        folder: &Utf8Path,
        log: &Utf8Path,
    ) -> Result<(Self, String)> {
        let port = free_tcp_port()?.to_string();
        let serve = Command::new(python);
        let shelf = Self::serve(serve, folder, &port, log).await?;
        Ok((shelf, format!("http://{HOST_SEEN_FROM_A_MACHINE}:{port}/")))
    }

    async fn serve(
        mut serve: Command,
        folder: &Utf8Path,
        port: &str,
        log: &Utf8Path,
    ) -> Result<Self> {
        serve.args(["-u", "-m", "http.server", port, "--bind", "127.0.0.1"]);
        serve.args(["--directory", folder.as_str()]);
        let mut child = Child::start("a shelf", &serve, log)?;
        eventually("the shelf serves", async || {
            child.must_live()?;
            ensure!(child.said().contains("Serving"), "not yet");
            Ok(())
        })
        .within(seconds(30))
        .await?;
        Ok(Self { _child: child })
    }

    /// The URL of a file of it.
    pub fn url(&self, file: &str) -> String {
        Self::address(file)
    }

    /// What the URL of a file of it will be.
    pub fn address(file: &str) -> String {
        format!("http://127.0.0.1:{PORT}/{file}")
    }
}
