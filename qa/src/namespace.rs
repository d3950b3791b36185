//! A piece of this machine for a test that needs root: private network, mounts and processes, over a copy of `/etc` and empty
//! state. It ends with its value, and so does all that was made in it.

use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use crate::child::Child;
use crate::eventually::{eventually, seconds};
use crate::files;
use crate::story::act;

/// Folders that are empty in the namespace.
const EMPTY: [&str; 3] = ["/srv", "/run", "/var/lib"];

/// A private piece of the machine.
#[derive(Debug)]
pub struct Namespace {
    // Lives as long as the namespace; whatever was started in it dies with it.
    keeper: Child,
    folder: Utf8PathBuf,
}

impl Namespace {
    /// Makes one, in whose `/etc` anything may be changed.
    pub async fn make(folder: &Utf8Path) -> Result<Self> {
        act("make a namespace of network, mounts and processes");
        files::empty_folder(folder)?;
        let mut keep = Command::new("unshare");
        keep.args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ]);
        keep.args(["sh", "-c", "echo ready; exec sleep infinity"]);
        let mut keeper = Child::start("a namespace", &keep, &folder.join("keeper.log"))?;
        let ready = eventually("the namespace is there", async || {
            keeper.must_live()?;
            ensure!(keeper.said().contains("ready"), "not yet");
            Ok(())
        });
        ready.within(seconds(10)).await?;
        let namespace = Self {
            keeper,
            folder: folder.to_owned(),
        };
        namespace.furnish()?;
        Ok(namespace)
    }

    /// A command in the namespace.
    pub fn command(&self, program: &str) -> Result<Command> {
        let inside = self.first_process()?;
        let mut command = Command::new("nsenter");
        command.args([
            "--net",
            "--mount",
            "--pid",
            "--target",
            &inside.to_string(),
            "--",
            program,
        ]);
        Ok(command)
    }

    /// Runs a command in the namespace and returns what it said.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        let output = self.attempt(words)?;
        let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        ensure!(
            output.status.success(),
            "`{}` failed: {complaint}",
            words.join(" ")
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs a command in the namespace that may fail.
    pub fn attempt(&self, words: &[&str]) -> Result<Output> {
        let (program, arguments) = words.split_first().context("a command has a first word")?;
        let mut command = self.command(program)?;
        command
            .args(arguments)
            .output()
            .with_context(|| format!("cannot run {program}"))
    }

    fn furnish(&self) -> Result<()> {
        let etc = self.folder.join("etc");
        self.run(&["cp", "-a", "/etc", etc.as_str()])?;
        self.run(&["mount", "--bind", etc.as_str(), "/etc"])?;
        for folder in EMPTY {
            self.run(&["mount", "-t", "tmpfs", "tmpfs", folder])?;
        }
        // Shows the interfaces of this network, not of the machine's.
        self.run(&["mount", "-t", "sysfs", "sysfs", "/sys"])?;
        self.run(&["ip", "link", "set", "lo", "up"]).map(drop)
    }

    /// The first process inside, by the id that it has outside.
    fn first_process(&self) -> Result<u32> {
        let parent = self.keeper.id();
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        let children = children.context("cannot find the namespace's first process")?;
        children
            .split_whitespace()
            .next()
            .and_then(|id| id.parse().ok())
            .context("the namespace is empty")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.keeper.kill();
    }
}
