//! A disk of a test's own: a loop device over a file of this machine, as a box in namespaces sees it.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use crate::cell::Cell;
use crate::story::{act, detail};

/// A loop device until it is dropped.
#[derive(Debug)]
pub struct LoopDevice {
    node: Utf8PathBuf,
    file: Utf8PathBuf,
}

impl LoopDevice {
    /// Makes one over a new file of as many megabytes.
    pub fn over(file: &Utf8Path, megabytes: u64) -> Result<Self> {
        act(format_args!("plug a disk of {megabytes} MB in"));
        let made = std::fs::File::create(file).and_then(|made| made.set_len(megabytes << 20));
        made.with_context(|| format!("cannot create {file}"))?;
        let mut set_up = Command::new("losetup");
        set_up.args(["--find", "--show", file.as_str()]);
        let said = set_up.output().context("cannot run losetup")?;
        let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
        ensure!(said.status.success(), "no loop device: {complaint}");
        let node = String::from_utf8(said.stdout).context("losetup says no text")?;
        Ok(Self {
            node: node.trim().into(),
            file: file.to_owned(),
        })
    }

    /// Has it in a box, where udev would put it, under a lasting name.
    pub fn appears(&self, cell: &Cell, name: &str) -> Result<String> {
        let node = self.node.as_str();
        let number = node.trim_start_matches("/dev/loop");
        let link = format!("/dev/disk/by-id/{name}");
        let put = format!(
            "mkdir -p /dev/disk/by-id && mknod -m 660 {node} b 7 {number} && chgrp disk {node} && ln -s {node} {link}"
        );
        cell.namespace().run(&["sh", "-c", &put])?;
        Ok(link)
    }

    /// Makes a file system on it.
    pub fn is_formatted(&self) -> Result<()> {
        let made = Command::new("mkfs.ext4")
            .args(["-q", self.node.as_str()])
            .status();
        ensure!(
            made.is_ok_and(|status| status.success()),
            "it is not formatted"
        );
        Ok(())
    }

    /// Its file in the box.
    pub fn node(&self) -> &Utf8Path {
        &self.node
    }

    /// The first of what is on it.
    pub fn first_line(&self) -> Result<String> {
        let synced = Command::new("blockdev")
            .args(["--flushbufs", self.node.as_str()])
            .status();
        ensure!(
            synced.is_ok_and(|status| status.success()),
            "it is not flushed"
        );
        let content = std::fs::read(&self.file).context("cannot read the disk's file")?;
        let text = String::from_utf8_lossy(&content[..512]).into_owned();
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let detached = Command::new("losetup")
            .args(["--detach", self.node.as_str()])
            .status();
        if !detached.is_ok_and(|status| status.success()) {
            detail(format_args!("{} is left", self.node));
        }
    }
}
