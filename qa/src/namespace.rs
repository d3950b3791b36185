//! A piece of this machine for a test that needs root: private network, mounts and processes, over a copy of `/etc` and empty
//! state. It ends with its value, and so does all that was made in it.

use std::fs::File;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use camino::Utf8Path;
use nix::sched::{CloneFlags, setns};
use tokio::sync::oneshot;

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
    private: &'static [&'static str],
}

/// What a namespace has for itself, as `unshare` and `nsenter` call it.
const PRIVATE: &[&str] = &["--net", "--mount", "--pid"];

impl Namespace {
    /// Makes one, in whose `/etc` anything may be changed.
    pub async fn make(folder: &Utf8Path) -> Result<Self> {
        act("make a namespace of network, mounts and processes");
        files::empty_folder(folder)?;
        let mut namespace = Self::bare("a namespace", &folder.join("keeper.log"))?;
        let ready = eventually("the namespace is there", async || namespace.is_ready());
        ready.within(seconds(10)).await?;
        namespace.furnish(folder)?;
        Ok(namespace)
    }

    /// Begins to make one that has nothing of its own but what it is.
    pub(crate) fn bare(name: &str, log: &Utf8Path) -> Result<Self> {
        let mut keep = Command::new("sh");
        keep.args(["-c", "echo ready; exec sleep infinity"]);
        Self::keep(name, PRIVATE, &["--mount-proc"], &keep, log)
    }

    /// Whether a bare one can be used.
    pub(crate) fn is_ready(&mut self) -> Result<()> {
        self.keeper.must_live()?;
        ensure!(self.keeper.said().contains("ready"), "not yet");
        Ok(())
    }

    /// Makes one whose first process is this command.
    pub(crate) fn keep(
        name: &str,
        private: &'static [&'static str],
        options: &[&str],
        first: &Command,
        log: &Utf8Path,
    ) -> Result<Self> {
        let mut keep = Command::new("unshare");
        keep.args(private)
            .args(["--fork", "--kill-child", "--propagation", "private"])
            .args(options)
            .arg(first.get_program())
            .args(first.get_args());
        Ok(Self {
            keeper: Child::start(name, &keep, log)?,
            private,
        })
    }

    /// Refuses, for good, when the namespace has ended.
    pub(crate) fn must_live(&mut self) -> Result<()> {
        self.keeper.must_live()
    }

    /// A command in the namespace.
    pub fn command(&self, program: &str) -> Result<Command> {
        self.entering(self.private, program)
    }

    /// A command of this machine in the namespace's network alone.
    pub fn command_beside(&self, program: &str) -> Result<Command> {
        self.entering(&["--net"], program)
    }

    /// Does something in the namespace's network alone: what it connects to is there.
    pub async fn in_its_network<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let result = self.begin_in_its_network(work)?;
        result.await.context("what was done there has panicked")?
    }

    /// Begins to do something in the namespace's network alone.
    pub(crate) fn begin_in_its_network<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce() -> Result<T> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T>>> {
        let path = format!("/proc/{}/ns/net", self.first_process()?);
        let network = File::open(&path).with_context(|| format!("cannot open {path}"))?;
        // A thread enters for good, so it is one that nobody else will use.
        let (done, result) = oneshot::channel();
        std::thread::spawn(move || {
            let begin = || -> Result<_> {
                setns(network, CloneFlags::CLONE_NEWNET).context("cannot enter the network")?;
                let runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = { runtime }.enable_all().build();
                runtime.context("cannot start a runtime")
            };
            let ended = begin().and_then(|runtime| runtime.block_on(work()));
            // Nobody waits any more if the bench was interrupted.
            let _ = done.send(ended);
        });
        Ok(result)
    }

    fn entering(&self, what: &[&str], program: &str) -> Result<Command> {
        let inside = self.first_process()?;
        let mut command = Command::new("nsenter");
        command
            .args(what)
            .args(["--target", &inside.to_string(), "--", program]);
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

    fn furnish(&self, folder: &Utf8Path) -> Result<()> {
        let etc = folder.join("etc");
        self.run(&["cp", "-a", "/etc", etc.as_str()])?;
        self.run(&["mount", "--bind", etc.as_str(), "/etc"])?;
        for folder in EMPTY {
            self.run(&["mount", "-t", "tmpfs", "tmpfs", folder])?;
        }
        // Shows the interfaces of this network, not of the machine's.
        self.run(&["mount", "-t", "sysfs", "sysfs", "/sys"])?;
        self.run(&["ip", "link", "set", "lo", "up"]).map(drop)
    }

    /// Where this machine sees the root of the namespace's own mounts.
    pub fn root(&self) -> Result<String> {
        Ok(format!("/proc/{}/root", self.first_process()?))
    }

    /// The first process inside, by the id that it has outside.
    pub(crate) fn first_process(&self) -> Result<u32> {
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
