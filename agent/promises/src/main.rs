//! `slapbox-promises SETTINGS`: hears on standard input when to check, and says on standard output how the promises are.

use std::io::{self, BufRead as _, Write as _};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use slapbox_promises::promise::{Form, Mode, Promise, list};
use slapbox_promises::rounds::Rounds;
use slapbox_promises::words::{Request, Settings};
use slapbox_promises::{bridge, executable, plugin, records};

/// As good as never.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

fn main() -> anyhow::Result<()> {
    let told = std::env::args()
        .nth(1)
        .context("this program is the agent's: it is told what to check")?;
    let settings: Settings =
        serde_json::from_str(&told).context("what it is told is not understood")?;
    let (say, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let request = line.ok().and_then(|line| serde_json::from_str(&line).ok());
            // The agent is gone, or of another version.
            let Some(request) = request else { break };
            if say.send(request).is_err() {
                break;
            }
        }
    });
    watch(&settings, &requests)
}

/// Looks at what is due until the agent is gone.
fn watch(settings: &Settings, requests: &Receiver<Request>) -> anyhow::Result<()> {
    let mut rounds = Rounds::default();
    loop {
        let wait = rounds.due_in(Instant::now()).unwrap_or(LONG);
        match requests.recv_timeout(wait) {
            Ok(Request::Check { round }) => {
                let promises = list(&settings.folder).context("the promises cannot be listed")?;
                rounds.begin(round, promises, Instant::now());
            }
            Ok(Request::Now) => rounds.hurry(Instant::now()),
            Ok(Request::Pause) => rounds.pause(),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        if let Some((mode, promises)) = rounds.due(Instant::now()) {
            look(settings, &mut rounds, mode, &promises);
        }
        if let Some(answer) = rounds.news(Instant::now()) {
            let line = serde_json::to_string(&answer).context("texts become JSON")?;
            let mut out = io::stdout().lock();
            writeln!(out, "{line}")
                .and_then(|()| out.flush())
                .context("the agent does not listen")?;
        }
    }
}

fn look(settings: &Settings, rounds: &mut Rounds, mode: Mode, promises: &[Promise]) {
    let is_plugin = |promise: &&Promise| promise.form == Form::Plugin;
    let plugins: Vec<Promise> = promises.iter().filter(is_plugin).cloned().collect();
    let mut of_plugins = if plugins.is_empty() {
        Vec::new()
    } else {
        plugin::look(settings, &plugins, mode)
    }
    .into_iter();
    let ipv4 = std::env::var(bridge::IPV4).ok();
    let ipv4 = ipv4.and_then(|text| text.parse().ok());
    for promise in promises {
        let outcome = match promise.form {
            Form::Plugin => of_plugins.next(),
            Form::Executable => {
                let (folder, timeout) = (&settings.folder, settings.timeout());
                Some(executable::look(promise, folder, timeout))
            }
            Form::Bridge => Some(bridge::look(promise, ipv4, settings.timeout())),
        };
        let Some(outcome) = outcome else { continue };
        let verdict = rounds.take(mode, promise, &outcome, Instant::now());
        let written = records::write(&settings.folder, promise, &outcome, verdict.as_ref());
        if let Err(error) = written {
            // A full disk does not make a promise unknown.
            let _ = writeln!(
                io::stderr(),
                "{}: its result cannot be written: {error}",
                promise.name
            );
        }
    }
}
