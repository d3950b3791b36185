//! A registry of images beside a box, the one that Docker made and Debian has, and what is pushed to it.

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use crate::cell::Cell;
use crate::child::Child;
use crate::eventually::{eventually, seconds};
use crate::files::put;
use crate::product;
use crate::story::act;

const ADDRESS: &str = "127.0.0.1:5001";
/// Pushes a layout archive: push.py ARCHIVE REGISTRY NAME TAG
const PUSH: &str = include_str!("registry/push.py");

/// A registry that runs until it is dropped.
#[derive(Debug)]
pub struct Registry<'a> {
    cell: &'a Cell,
    python: Utf8PathBuf,
    folder: Utf8PathBuf,
    _child: Child,
}

/// Where the program is, or would be.
pub fn program() -> Result<Utf8PathBuf> {
    Ok(product::target()?.join("qa/host/bin/docker-registry"))
}

impl<'a> Registry<'a> {
    /// Starts an empty one whose images lie in `folder`.
    pub async fn start(cell: &'a Cell, python: &Utf8Path, folder: &Utf8Path) -> Result<Self> {
        act("start a registry");
        let configuration = folder.join("registry.yml");
        put(
            &configuration,
            format!(
                "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\nhttp: {{addr: \"{ADDRESS}\"}}\n"
            ),
        )?;
        let mut serve = cell.namespace().command_beside(program()?.as_str())?;
        serve.args(["serve", configuration.as_str()]);
        let mut child = Child::start("a registry", &serve, &folder.join("registry.log"))?;
        eventually("the registry listens", async || {
            child.must_live()?;
            ensure!(child.said().contains("listening on"), "not yet");
            Ok(())
        })
        .within(seconds(30))
        .await?;
        Ok(Self {
            cell,
            python: python.to_owned(),
            folder: folder.to_owned(),
            _child: child,
        })
    }

    /// Pushes an archive; returns the URL of its release by tag.
    pub fn push(&self, archive: &Utf8Path, name: &str, tag: &str) -> Result<String> {
        let script = self.folder.join("push.py");
        put(&script, PUSH)?;
        let mut push = self.cell.namespace().command_beside(self.python.as_str())?;
        let pushed = push
            .args([script.as_str(), archive.as_str()])
            .args([&format!("http://{ADDRESS}"), name, tag])
            .output()
            .context("cannot run a push")?;
        ensure!(
            pushed.status.success(),
            "cannot push {archive}: {}",
            String::from_utf8_lossy(&pushed.stderr)
        );
        Ok(format!("docker://{ADDRESS}/{name}:{tag}"))
    }
}
