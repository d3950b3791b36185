//! `slapbox node register`: makes this machine a node. Checks everything before it touches anything, then follows the agent until
//! the machine is a node, or says why not.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use serde_json::json;
use slap::JoinBlob;
use slap::join::JoinError;
use tokio::time::{Instant, sleep};

use super::facts::{Babel, Facts};
use super::progress::{Verdict, news, standing, verdict};
use super::state::{self, NodeState};
use super::{document, must_be_root, systemd};
use crate::arguments::Register;
use crate::failure::Stop;
use crate::output;

const PAUSE: Duration = Duration::from_millis(500);
/// An agent that was started anew so often does not stay up.
const MOST_RESTARTS: u32 = 3;
/// Far more than the line has.
const LONGEST_LINE: u64 = 64 * 1024;

/// Makes this machine a node.
pub(super) async fn register(wanted: Register, proxy: Option<&str>) -> Result<()> {
    if let Some(refusal) = wanted.elsewhere.refusal() {
        return Err(Stop {
            status: 64,
            words: refusal,
        }
        .into());
    }
    must_be_root()?;
    let facts = Facts::gather().await?;
    refuse(&facts.refusals())?;
    let (document, is_whole) = document_of(&wanted, proxy)?;
    if is_whole {
        document::check(&document).await?;
    }
    if wanted.dry_run {
        let steps = steps(&facts, &document, wanted.no_wait);
        return if wanted.json {
            output::print_json(&steps)
        } else {
            output::print(&would(&steps))
        };
    }
    start(&facts, &document).await?;
    if wanted.no_wait {
        output::complain("the agent is started: `slapbox node` shows how it goes");
        return output::print_done(wanted.json, &json!({ "started": true }));
    }
    let (words, now) = follow(wanted.timeout).await?;
    if wanted.json {
        let became = json!({
            "reference": now.enrolment.reference,
            "masters": now.masters,
            "prefix": now.overlay.prefix,
            "partitions": now.partitions.ready,
        });
        return output::print_json(&became);
    }
    output::print(&words)
}

fn refuse(refusals: &[String]) -> Result<()> {
    match refusals {
        [] => Ok(()),
        [why] => bail!("this machine cannot become a node: {why}"),
        several => bail!(
            "this machine cannot become a node:\n- {}",
            several.join("\n- ")
        ),
    }
}

/// The document, and whether it is whole: that of a dry run may lack the line.
fn document_of(wanted: &Register, proxy: Option<&str>) -> Result<(String, bool)> {
    if let Some(file) = &wanted.config {
        return Ok((document::read(file)?, true));
    }
    let name = match wanted.name.as_ref().or(wanted.called.as_ref()) {
        Some(name) => name.clone(),
        None => host_name()?,
    };
    let wish = document::Wish {
        name,
        partitions: wanted.partitions,
        endpoint: wanted.endpoint.clone(),
        proxy: proxy.map(str::to_owned),
    };
    let join = join_line(wanted)?.map(|line| parse(&line)).transpose()?;
    Ok((document::text(&wish, join.as_ref()), join.is_some()))
}

fn host_name() -> Result<String> {
    let name = nix::unistd::gethostname().context("cannot tell the name of this machine")?;
    name.into_string()
        .ok()
        .context("the name of this machine is no text: give one with `--name`")
}

/// The line, from wherever it comes; a dry run asks nobody.
fn join_line(wanted: &Register) -> Result<Option<String>> {
    if let Some(line) = &wanted.join {
        return Ok(Some(line.clone()));
    }
    match wanted.token_file.as_deref() {
        Some(file) if file != "-" => {
            let text = std::fs::read_to_string(file);
            text.map(Some)
                .with_context(|| format!("cannot read `{file}`"))
        }
        Some(_) => from_standard_input().map(Some),
        None if wanted.dry_run => Ok(None),
        None if io::stdin().is_terminal() => from_keyboard().map(Some),
        None => from_standard_input().map(Some),
    }
}

fn from_standard_input() -> Result<String> {
    let mut text = String::new();
    let mut limited = io::stdin().lock().take(LONGEST_LINE);
    limited
        .read_to_string(&mut text)
        .context("cannot read the line from standard input")?;
    Ok(text)
}

/// Asks for the line without showing it: it is a secret until it is used.
fn from_keyboard() -> Result<String> {
    output::complain("The line that begins with `slapbox1.` (`slapbox token create` prints one):");
    let keyboard = io::stdin();
    let before = tcgetattr(&keyboard).context("cannot ask for the line here")?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&keyboard, SetArg::TCSAFLUSH, &silent).context("cannot ask for the line here")?;
    let mut line = String::new();
    let read = keyboard.lock().take(LONGEST_LINE).read_line(&mut line);
    tcsetattr(&keyboard, SetArg::TCSANOW, &before).context("cannot set the terminal back")?;
    read.context("cannot read the line")?;
    Ok(line)
}

fn parse(line: &str) -> Result<JoinBlob> {
    let line = line.trim();
    if line.is_empty() {
        bail!("there is no line: `slapbox token create` prints one, which begins with `slapbox1.`");
    }
    line.parse::<JoinBlob>().map_err(|error| {
        let is_other = matches!(error, JoinError::OtherText);
        anyhow::Error::new(error).context(if is_other {
            "a token alone does not say which master to trust: give the whole line that `slapbox token create` prints"
        } else {
            "the line cannot be used"
        })
    })
}

/// What a node's systemd starts at each boot.
const UNITS: [&str; 3] = [systemd::ROUTING, systemd::NAMES, systemd::AGENT];

/// What would be done, step by step.
fn steps(facts: &Facts, document: &str, no_wait: bool) -> Vec<String> {
    let shown = document::without_secret(document);
    let mut steps = vec![format!("write to {}:\n{shown}", document::FILE)];
    if facts.babel == Babel::Idle {
        steps.push(format!(
            "switch off {}, which routes nothing: the overlay's own needs its port",
            systemd::DEBIANS_BABEL
        ));
    }
    let [routing, names, agent] = UNITS;
    steps.push(format!("enable and start {routing}, {names} and {agent}"));
    if !no_wait {
        steps.push("wait until this machine is a node".to_owned());
    }
    steps
}

fn would(steps: &[String]) -> String {
    let item = |step: &String| format!("- {}\n", step.trim_end().replace('\n', "\n    "));
    let items: String = steps.iter().map(item).collect();
    format!(
        "this machine can become a node; nothing is done now. Without `--dry-run` it would\n{items}"
    )
}

/// Writes the document and starts the units. An agent that waits for a document, or was refused, begins anew with this one.
async fn start(facts: &Facts, document: &str) -> Result<()> {
    systemd::tell(&["stop", systemd::AGENT]).await?;
    forget_state()?;
    document::keep(document)?;
    if facts.babel == Babel::Idle {
        output::complain("switching off Debian's own babeld.service, which routes nothing");
        systemd::tell(&["disable", "--now", systemd::DEBIANS_BABEL]).await?;
    }
    output::complain("starting the agent");
    systemd::tell(&[&["enable", "--now"], &UNITS[..]].concat()).await
}

/// What an earlier agent said is not how the next one is.
fn forget_state() -> Result<()> {
    let file = Utf8Path::new(state::FILE);
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove `{file}`"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Waits for the end of the way; returns it in words, and how the node is there.
async fn follow(timeout: Duration) -> Result<(String, NodeState)> {
    let deadline = Instant::now() + timeout;
    let mut before = NodeState::default();
    loop {
        if let Some(now) = state::read()? {
            for line in news(&before, &now) {
                output::complain(&line);
            }
            match verdict(&now) {
                Verdict::Done(words) => return Ok((words, now)),
                Verdict::Failed(words) => bail!(words),
                Verdict::GoesOn => before = now,
            }
        }
        if systemd::restarts(systemd::AGENT).await? >= MOST_RESTARTS {
            bail!(
                "the agent does not stay up: `journalctl --unit {}` says why",
                systemd::AGENT
            );
        }
        if Instant::now() >= deadline {
            bail!(
                "it is no node yet, and it goes on trying: {}; `slapbox node` shows how it goes",
                standing(&before)
            );
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::good;
    use super::*;

    #[test]
    fn a_line_that_is_no_blob_is_refused_with_where_to_get_one() {
        let said = |line: &str| format!("{:#}", parse(line).unwrap_err());
        assert!(said(" \n").contains("`slapbox token create` prints one"));
        let token = said("abcdefghijkl.secret");
        assert!(
            token.starts_with("a token alone does not say which master to trust")
                && token.ends_with("a join blob begins with `slapbox1.`"),
            "{token}"
        );
        assert_eq!(
            said("slapbox1.a*c"),
            "the line cannot be used: the join blob is damaged, was it copied whole?"
        );
    }

    #[test]
    fn a_dry_run_tells_all_that_would_be_done_and_no_secret() {
        let facts = good();
        let document = "name = \"edge-1\"\njoin = \"slapbox1.secret\"\n";
        insta::assert_snapshot!(would(&steps(&facts, document, false)));
    }

    #[test]
    fn one_reason_is_a_sentence_and_several_are_a_list() {
        refuse(&[]).unwrap();
        let one = refuse(&["IPv6 is off".to_owned()]).unwrap_err().to_string();
        assert_eq!(one, "this machine cannot become a node: IPv6 is off");
        let two = refuse(&["a".to_owned(), "b".to_owned()]).unwrap_err();
        assert_eq!(
            two.to_string(),
            "this machine cannot become a node:\n- a\n- b"
        );
    }
}
