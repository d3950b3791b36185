//! A keyboard and what is typed on it: a root shell of a machine behind a virtual console, for machines whose system has one.
//! The product has none; a Debian of somebody's own gets one from systemd when its hypervisor asks for it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use camino::Utf8Path;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::accelerator;
use crate::console::plain;
use crate::eventually::{eventually, minutes, seconds};
use crate::story::{act, detail, shortened};

/// Stands around the number and the status of a command that has ended. What is typed names it by its code, so that an echo
/// is not taken for it.
const MARK: char = '\u{1e}';
/// What root's shell says when it is ready.
const PROMPT: &str = "# ";

/// The end of a cable: a shell is at the other one, once the machine has booted.
#[derive(Debug)]
pub struct Keyboard {
    cable: UnixStream,
    heard: String,
    typed: u32,
}

/// What a command has said, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The exit status.
    pub status: i32,
    /// Both its outputs.
    pub text: String,
}

impl Keyboard {
    /// Sits down at the console behind `socket`, and waits for the shell.
    pub async fn at(socket: &Utf8Path) -> Result<Self> {
        let cable = UnixStream::connect(socket.as_std_path()).await;
        let mut keyboard = Self {
            cable: cable.context("cannot connect to the machine's console")?,
            heard: String::new(),
            typed: 0,
        };
        // What is typed before that, the firmware takes for a wish to choose what to boot.
        let awake = eventually("a shell is ready", async || keyboard.hears_a_prompt().await);
        awake.within(minutes(2)).await?;
        keyboard
            .ask(
                "stty -echo; PS1=; PS2=",
                seconds(60) * accelerator::patience(),
            )
            .await?;
        Ok(keyboard)
    }

    async fn hears_a_prompt(&mut self) -> Result<()> {
        let listened = tokio::time::timeout(seconds(1), self.listen()).await;
        if let Ok(heard) = listened {
            heard?;
        }
        let heard = plain(&self.heard);
        let last = heard.trim().lines().last().unwrap_or("nothing");
        ensure!(self.heard.ends_with(PROMPT), "it says {last}");
        Ok(())
    }

    async fn listen(&mut self) -> Result<()> {
        let mut piece = [0; 4096];
        let read = self.cable.read(&mut piece).await;
        match read.context("the machine's console cannot be read")? {
            0 => bail!("the machine's console is closed"),
            count => self
                .heard
                .push_str(&String::from_utf8_lossy(&piece[..count])),
        }
        Ok(())
    }

    /// Types a line and returns what came of it. Nobody answers what a program asks; apt would take what is typed next for it.
    pub async fn types(&mut self, line: &str) -> Result<Reply> {
        let line = format!("{{ {line}\n}} < /dev/null");
        self.ask(&line, minutes(3) * accelerator::patience()).await
    }

    /// Types a line that must succeed; returns what it has said.
    pub async fn does(&mut self, what: &str, line: &str) -> Result<String> {
        act(what);
        let reply = self.types(line).await?;
        for said in reply.text.lines().filter(|said| !said.trim().is_empty()) {
            detail(shortened(said, 160));
        }
        ensure!(
            reply.status == 0,
            "cannot {what} ({}): {}",
            reply.status,
            reply.text.trim()
        );
        Ok(reply.text)
    }

    /// Types a line and another one, which says that and how it has ended.
    async fn ask(&mut self, line: &str, patience: Duration) -> Result<Reply> {
        self.typed += 1;
        let number = self.typed;
        let typed = format!("{line}\nprintf '\\036{number}:%d\\036\\n' $?\n");
        let written = self.cable.write_all(typed.as_bytes()).await;
        written.context("the machine's console is closed")?;
        let answer = async {
            loop {
                if let Some(reply) = reply(&mut self.heard, number) {
                    return Ok(reply);
                }
                self.listen().await?;
            }
        };
        match tokio::time::timeout(patience, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                let heard = plain(&self.heard);
                bail!(
                    "no answer to `{}`; heard: {}",
                    shortened(line, 60),
                    heard.trim()
                )
            }
        }
    }
}

/// Takes the reply to a command out of what was heard, with all before it, as soon as it is whole.
fn reply(heard: &mut String, number: u32) -> Option<Reply> {
    let begin = format!("{MARK}{number}:");
    let at = heard.find(&begin)?;
    let rest = &heard[at + begin.len()..];
    let (status, after) = rest.split_once(MARK)?;
    let status = status.parse().unwrap_or(-1);
    // What is left of commands before that nobody has waited for.
    let text = heard[..at].rsplit(MARK).next().unwrap_or_default();
    let text = plain(text).trim_start_matches('\n').to_owned();
    *heard = after.to_owned();
    Some(Reply { status, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_what_was_said_since_the_last_one() {
        let mut heard = "one\r\ntwo\r\n\u{1e}7:0\u{1e}\r\nthr".to_owned();
        assert_eq!(reply(&mut heard, 8), None);
        let first = reply(&mut heard, 7).unwrap();
        assert_eq!((first.status, first.text.as_str()), (0, "one\ntwo\n"));
        heard.push_str("ee\r\n\u{1e}8:1");
        assert_eq!(reply(&mut heard, 8), None, "the status may go on");
        heard.push_str("27\u{1e}\r\n");
        let second = reply(&mut heard, 8).unwrap();
        assert_eq!((second.status, second.text.as_str()), (127, "three\n"));
    }

    #[tokio::test]
    async fn a_shell_is_asked_as_a_person_would() {
        let folder = tempfile::tempdir().unwrap();
        let socket = camino::Utf8PathBuf::from_path_buf(folder.path().join("console")).unwrap();
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let shell = tokio::spawn(async move {
            let (cable, _) = listener.accept().await.unwrap();
            let cable = cable.into_std().unwrap();
            cable.set_nonblocking(false).unwrap();
            let ends = [(); 2].map(|()| std::os::fd::OwnedFd::from(cable.try_clone().unwrap()));
            let [input, output] = ends;
            let mut command = tokio::process::Command::new("sh");
            command.arg("-i").env("PS1", PROMPT).env_remove("ENV");
            command.stdin(std::process::Stdio::from(input));
            command.stdout(std::process::Stdio::from(output.try_clone().unwrap()));
            command.stderr(std::process::Stdio::from(output));
            command.kill_on_drop(true).status().await
        });
        let mut keyboard = Keyboard::at(&socket).await.unwrap();
        let reply = keyboard.types("echo one; echo two >&2; false").await;
        let reply = reply.unwrap();
        assert_eq!((reply.status, reply.text.as_str()), (1, "one\ntwo\n"));
        let said = keyboard.does("greet", "printf hello").await.unwrap();
        assert_eq!(said, "hello");
        let refusal = keyboard.does("fail", "echo no; exit 3").await;
        // The shell itself has ended.
        assert!(refusal.is_err());
        drop(keyboard);
        let _ = shell.await;
    }
}
