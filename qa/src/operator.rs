//! The person at the keyboard: drives a master through the `slapbox` command, as people do, with a home of the lab's own.
//! Knows commands and their JSON, nothing of the master's inside.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::blob::Blob;
use crate::product;

const ONE_COMMAND: Duration = Duration::from_secs(180);

/// Somebody with an operator's certificate for one master.
#[derive(Debug, Clone)]
pub struct Operator {
    home: Utf8PathBuf,
    program: Utf8PathBuf,
    yields: bool,
}

/// What a token shall allow.
#[derive(Debug, Clone, Default)]
pub struct TokenWish {
    /// Seconds until it expires; the master's choice if absent.
    pub lifetime: Option<u32>,
}

/// The answer to one command.
#[derive(Debug)]
struct Answer {
    code: Option<i32>,
    output: String,
    complaint: String,
}

impl Operator {
    /// Logs in with the blob of an operator's token.
    pub async fn login(home: &Utf8Path, blob: &Blob) -> Result<Self> {
        let operator = Self {
            home: home.to_owned(),
            program: product::program("slapbox")?,
            yields: false,
        };
        operator.tell(&["login", &blob.line()]).await?;
        Ok(operator)
    }

    /// Has what is asked from now on yield to everything else, which may be measured meanwhile.
    pub fn yielding(mut self) -> Self {
        self.yields = true;
        self
    }

    /// What a person types to be this operator; the words of a command follow.
    pub fn command_line(&self) -> String {
        format!("SLAPBOX_HOME={} {}", self.home, self.program)
    }

    /// The last report of a computer, if it says that all its partitions are made.
    pub async fn report_of_all_partitions(&self, computer: &str) -> Result<Value> {
        let report = self.report(computer).await?;
        let count = |of: &str| report["partitions"][of].as_u64().unwrap_or_default();
        let (ready, wanted) = (count("ready"), count("wanted"));
        ensure!(wanted > 0, "it has not said how many it makes");
        ensure!(ready == wanted, "{ready} of {wanted} are ready");
        Ok(report)
    }

    /// The last report of a computer.
    pub async fn report(&self, computer: &str) -> Result<Value> {
        match self.computer(computer).await?.get("report") {
            Some(report) if report.is_object() => Ok(report.clone()),
            _ => bail!("{computer} has sent no report yet"),
        }
    }

    /// Makes a token for one node.
    pub async fn token(&self, wish: &TokenWish) -> Result<Blob> {
        let lifetime = wish.lifetime.map(|seconds| format!("{seconds}s"));
        let mut words = vec!["token", "create"];
        if let Some(lifetime) = &lifetime {
            words.extend(["--lifetime", lifetime]);
        }
        Blob::parse(&self.tell(&words).await?)
    }

    /// All computers that the master knows.
    pub async fn computers(&self) -> Result<Vec<Value>> {
        let listed = self.json(&["computer", "list", "--json"]).await?;
        listed
            .as_array()
            .cloned()
            .with_context(|| format!("a list of computers was expected, not {listed}"))
    }

    /// All that the master knows of one computer.
    pub async fn computer(&self, reference: &str) -> Result<Value> {
        self.json(&["computer", "info", reference, "--json"]).await
    }

    /// Publishes a release and returns its URL.
    pub async fn publish(&self, file: &Utf8Path) -> Result<String> {
        let said = self.tell(&["release", "publish", file.as_str()]).await?;
        let url = said
            .split_whitespace()
            .find(|word| word.starts_with("https://"))
            .context("no URL was printed")?;
        Ok(url.to_owned())
    }

    /// Wishes that a release be available on a computer.
    pub async fn supply(&self, url: &str, computer: &str) -> Result<()> {
        self.tell(&["supply", url, computer]).await.map(drop)
    }

    /// Wishes that a release no longer be on a computer.
    pub async fn remove(&self, url: &str, computer: &str) -> Result<()> {
        self.tell(&["remove", url, computer]).await.map(drop)
    }

    /// Requests a service; succeeds whether it is ready or not yet.
    pub async fn request(&self, title: &str, url: &str, computer: &str, wish: &Wish) -> Result<()> {
        let node = format!("computer_guid={computer}");
        let parameters: Vec<String> = wish
            .parameters
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let mut words = vec![
            "request", title, url, "--node", &node, "--state", wish.state,
        ];
        for parameter in &parameters {
            words.extend(["--parameters", parameter]);
        }
        const NOT_READY: i32 = 2;
        let answer = self.ask(&words).await?;
        ensure!(
            matches!(answer.code, Some(0 | NOT_READY)),
            "`slapbox request` failed: {}",
            answer.complaint.trim()
        );
        Ok(())
    }

    /// All services.
    pub async fn services(&self) -> Result<Vec<Value>> {
        let listed = self.json(&["service", "list", "--json"]).await?;
        let services = listed.as_array().cloned();
        services.with_context(|| format!("a list of services was expected, not {listed}"))
    }

    /// All that the master knows of one service.
    pub async fn service(&self, title: &str) -> Result<Value> {
        self.json(&["service", "info", title, "--json"]).await
    }

    /// The command that forwards a port of the host to a service.
    pub fn forward(&self, title: &str, listen: &str) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command
            .args(["service", "forward", title, "--listen", listen])
            .env("SLAPBOX_HOME", &self.home);
        command
    }

    async fn json(&self, words: &[&str]) -> Result<Value> {
        let said = self.tell(words).await?;
        serde_json::from_str(&said)
            .with_context(|| format!("`slapbox {}` did not print JSON", words.join(" ")))
    }

    async fn tell(&self, words: &[&str]) -> Result<String> {
        let answer = self.ask(words).await?;
        if answer.code != Some(0) {
            bail!(
                "`slapbox {} {}` failed: {}",
                words[0],
                words.get(1).copied().unwrap_or_default(),
                answer.complaint.trim()
            );
        }
        Ok(answer.output)
    }

    async fn ask(&self, words: &[&str]) -> Result<Answer> {
        let yielding = ["nice", "-n", "19"].map(str::to_owned);
        let begin = yielding.into_iter().filter(|_| self.yields);
        let mut line = begin.chain([self.program.to_string()]);
        let first = line.next().unwrap_or_default();
        let mut command = tokio::process::Command::new(first);
        command
            .args(line)
            .args(words)
            .env("SLAPBOX_HOME", &self.home)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(ONE_COMMAND, command.output())
            .await
            .with_context(|| format!("`slapbox {}` does not end", words[0]))?
            .with_context(|| format!("cannot run {}", self.program))?;
        Ok(Answer {
            code: output.status.code(),
            output: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            complaint: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// What a service shall be.
#[derive(Debug, Clone)]
pub struct Wish {
    /// `started`, `stopped` or `destroyed`.
    pub state: &'static str,
    /// Its parameters.
    pub parameters: BTreeMap<String, String>,
}
