//! Files that a box fetches by http, on the loopback of its cell.

use anyhow::{Result, ensure};
use camino::Utf8Path;

use crate::cell::Cell;
use crate::child::Child;
use crate::eventually::{eventually, seconds};

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
        let mut serve = cell.namespace().command_beside(python.as_str())?;
        serve.args(["-u", "-m", "http.server", PORT, "--bind", "127.0.0.1"]);
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
