//! One process that the bench starts: it is killed by its id when its value is dropped, and by the kernel when the bench dies.
//! Never kills anything by name.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::process::{Child as Process, Command, Stdio};

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::console::plain;
use crate::eventually::Hopeless;

/// A running process whose output goes into a file.
#[derive(Debug)]
pub struct Child {
    name: String,
    process: Process,
    log: Utf8PathBuf,
}

impl Child {
    /// Starts `command`, which writes all it says into `log`.
    pub fn start(name: &str, command: &Command, log: &Utf8Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot create {log}"))?;
        let process = dying_with_the_bench(command)
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("cannot share a log file")?)
            .stderr(file)
            // A group of its own: a Ctrl-C at the terminal reaches the bench alone, which then ends its children in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            process,
            log: log.to_owned(),
        })
    }

    /// What the process has said so far.
    pub fn said(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The process' id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Refuses, for good, when the process has ended.
    pub fn must_live(&mut self) -> Result<()> {
        match self.process.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(Hopeless(format!(
                "{} has ended ({status}): {}",
                self.name,
                last_line(&self.said())
            ))
            .into()),
            Err(error) => Err(Hopeless(format!("cannot ask for {}: {error}", self.name)).into()),
        }
    }

    /// Whether the process has ended well; nothing while it runs.
    pub fn verdict(&mut self) -> Option<bool> {
        match self.process.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(status.success()),
            Err(_) => Some(false),
        }
    }

    /// The last line it has said.
    pub fn last_words(&self) -> String {
        last_line(&plain(&self.said())).to_owned()
    }

    /// Kills the process, with all that it has started, as a power cut would, and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal_group("KILL");
        // Both fail only when the process is gone, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Asks the process, with all that it has started, to end; kills it when it does not.
    pub fn end(&mut self) {
        const GRACE: u32 = 50;
        self.signal_group("TERM");
        for _ in 0..GRACE {
            if self.verdict().is_some() {
                break;
            }
            pause();
        }
        self.kill();
    }

    fn signal_group(&mut self, signal: &str) {
        if self.verdict().is_none() {
            let group = format!("kill -s {signal} -- -{}", self.process.id());
            let _ = Command::new("sh")
                .args(["-c", &group])
                .stderr(Stdio::null())
                .status();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The same command, but killed by the kernel when the bench dies, however the bench dies.
pub fn dying_with_the_bench(command: &Command) -> Command {
    let mut wrapped = Command::new("setpriv");
    wrapped
        .args(["--pdeathsig", "KILL", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}

#[expect(
    clippy::disallowed_methods,
    reason = "in a destructor nothing can be awaited"
)]
fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(100));
}

fn last_line(text: &str) -> &str {
    text.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("it said nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(folder: &Utf8Path) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", "echo up; exec sleep 600"]);
        Child::start("a sleeper", &command, &folder.join("log")).unwrap()
    }

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        (folder, path)
    }

    #[test]
    fn a_dropped_child_is_dead() {
        let (_keep, folder) = folder();
        let child = sleeper(&folder);
        let entry = Utf8PathBuf::from(format!("/proc/{}", child.id()));
        assert!(entry.exists());
        drop(child);
        assert!(!entry.exists());
    }

    #[tokio::test]
    async fn an_ended_child_is_hopeless_and_its_last_words_are_told() {
        let (_keep, folder) = folder();
        let mut command = Command::new("sh");
        command.args(["-c", "echo cannot find my disk; exit 3"]);
        let mut child = Child::start("a machine", &command, &folder.join("log")).unwrap();
        let waited = crate::eventually::eventually("it ends", async || {
            child.must_live()?;
            anyhow::bail!("alive")
        });
        let said = format!(
            "{:#}",
            waited
                .within::<()>(crate::eventually::seconds(10))
                .await
                .unwrap_err()
        );
        assert!(said.contains("cannot find my disk"), "{said}");
    }
}
