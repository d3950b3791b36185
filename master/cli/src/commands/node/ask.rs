//! Asks the agent of this machine, at its socket, to look at once or to pass a bang on, and waits for what came of it.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep};

use super::{must_be_root, not_running, systemd};
use crate::arguments::{InstanceLook, Prune, SoftwareLook};
use crate::failure::Stop;
use crate::output;

/// Where the agent listens.
const SOCKET: &str = "/run/slapbox/control.sock";
/// How long an agent that runs may take to listen.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(300);
/// The agent says less.
const LONGEST_ANSWER: u64 = 4 << 20;

/// A line of the agent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Said {
    Progress(String),
    Outcome(Outcome),
}

/// What came of it: the exit status is the original's, which the agent knows.
#[derive(Debug, Deserialize)]
struct Outcome {
    status: u8,
    message: String,
}

/// What the agent can be asked to look at.
pub(super) fn look(what: &str) -> Value {
    json!({ "ask": "look", "what": what })
}

/// A look at releases.
pub(super) fn software(asked: &SoftwareLook) -> Value {
    let only: Vec<&str> = asked.only_sr.as_deref().into_iter().collect();
    json!({
        "ask": "look",
        "what": "software",
        "force": asked.force,
        "only": only,
        "collect": asked.garbage_collect,
    })
}

/// A look at instances.
pub(super) fn instance(asked: &InstanceLook) -> Value {
    let names = asked.only_cp.iter().map(|name| name.trim());
    let only: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    json!({ "ask": "look", "what": "instance", "force": asked.force, "only": only })
}

/// What removes shared parts.
pub(super) fn prune(asked: &Prune) -> Value {
    // The agent does not know where this was typed.
    let more = asked.additional_software_directory.iter();
    let more = more.map(|folder| std::path::absolute(folder).unwrap_or_else(|_| folder.into()));
    let more: Vec<_> = more.collect();
    json!({ "ask": "prune", "dry_run": asked.dry_run, "more": more })
}

/// A bang, which the agent passes on to its master.
pub(super) fn bang(message: &str) -> Value {
    json!({ "ask": "bang", "message": message })
}

/// Asks, tells what is said on the way, and ends as the agent says.
pub(super) async fn ask(request: &Value, json: bool) -> Result<()> {
    must_be_root()?;
    let outcome = converse(connect().await?, request).await?;
    if json {
        output::print_json(&json!({ "status": outcome.status, "message": outcome.message }))?;
    } else if outcome.status == 0 {
        output::print(&outcome.message)?;
    }
    match outcome.status {
        0 => Ok(()),
        status => Err(Stop {
            status,
            words: outcome.message,
        }
        .into()),
    }
}

/// Connects to the agent. One that has just been started is given a moment.
async fn connect() -> Result<UnixStream> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let error = match UnixStream::connect(SOCKET).await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let is_absent = [ErrorKind::NotFound, ErrorKind::ConnectionRefused].contains(&error.kind());
        if !is_absent {
            return Err(error).with_context(|| format!("cannot connect to `{SOCKET}`"));
        }
        if !systemd::is_active(systemd::AGENT).await? {
            return Err(not_running().into());
        }
        if Instant::now() >= deadline {
            bail!(
                "the agent takes no questions: it does once this machine is enrolled; `slapbox node` shows how it is"
            );
        }
        sleep(PAUSE).await;
    }
}

async fn converse(stream: UnixStream, request: &Value) -> Result<Outcome> {
    let (reader, mut writer) = stream.into_split();
    writer
        .write_all(format!("{request}\n").as_bytes())
        .await
        .context("the agent does not listen")?;
    let mut lines = BufReader::new(reader.take(LONGEST_ANSWER)).lines();
    while let Some(line) = lines
        .next_line()
        .await
        .context("the agent cannot be heard")?
    {
        match serde_json::from_str(&line).context("the agent says what is not understood")? {
            Said::Progress(words) => output::complain(&words),
            Said::Outcome(outcome) => return Ok(outcome),
        }
    }
    bail!(
        "the agent has ended without an answer: `systemctl status slapbox-agent.service` says more"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An agent that has one thing to say.
    async fn told(answer: &'static str) -> (String, Result<Outcome>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let agent = async {
            let (reader, mut writer) = theirs.into_split();
            let mut request = String::new();
            BufReader::new(reader)
                .read_line(&mut request)
                .await
                .unwrap();
            writer.write_all(answer.as_bytes()).await.unwrap();
            request
        };
        tokio::join!(agent, async { converse(ours, &look("software")).await })
    }

    #[tokio::test]
    async fn the_outcome_ends_the_conversation() {
        let (request, outcome) = told(
            "{\"progress\":\"0 of 1 releases are done\"}\n{\"outcome\":{\"status\":2,\"message\":\"promise\"}}\n",
        )
        .await;
        assert_eq!(request, "{\"ask\":\"look\",\"what\":\"software\"}\n");
        let outcome = outcome.unwrap();
        assert_eq!((outcome.status, outcome.message.as_str()), (2, "promise"));
    }

    #[tokio::test]
    async fn an_agent_that_ends_or_babbles_is_no_success() {
        for (answer, words) in [
            ("", "has ended without an answer"),
            ("{\"progress\":\"x\"}\n", "has ended without an answer"),
            ("hello\n", "is not understood"),
        ] {
            let (_, outcome) = told(answer).await;
            let said = outcome.unwrap_err().to_string();
            assert!(said.contains(words), "{answer}: {said}");
        }
    }
}
