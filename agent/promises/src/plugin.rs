//! Runs promises that are Python modules, in the Python of the release: one process for all that are due, which runs each in one of its own.

use std::process::Command;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::executable::{End, Errors, Ran, last, run};
use crate::promise::{Answer, Mode, Outcome, Promise};
use crate::records::LOG;
use crate::words::Settings;

const SCRIPT: &str = include_str!("plugin.py");
/// What Python itself may take beside its promises.
const OVERHEAD: Duration = Duration::from_secs(20);
/// Of every promise, its longest message in the longest form that JSON has for it.
const MOST_OUTPUT: usize = 8 * 1024 * 1024;

#[derive(Serialize)]
struct Task<'a> {
    folder: &'a str,
    log: String,
    partition: &'a str,
    computer: &'a str,
    master: &'a str,
    certificate: Option<&'a str>,
    key: Option<&'a str>,
    seconds: u64,
    anomaly: bool,
    promises: Vec<Module<'a>>,
}

#[derive(Serialize)]
struct Module<'a> {
    name: &'a str,
    path: &'a str,
}

/// What the script says of a promise.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    seconds: f64,
    minutes: Option<f64>,
    tested: Option<bool>,
    anomaly: Option<bool>,
    r#type: String,
    failed: bool,
    message: String,
    broken: Option<String>,
    silent: Option<String>,
}

/// Looks at all of these promises; returns an outcome for each, in order.
pub fn look(settings: &Settings, promises: &[Promise], mode: Mode) -> Vec<Outcome> {
    let when = SystemTime::now();
    let Some(python) = &settings.python else {
        let why = "its release has no Python to run it".to_owned();
        return all_broken(promises, &why, when);
    };
    let ran = serde_json::to_vec(&task(settings, promises, mode)).map_err(std::io::Error::other);
    let ran = ran.and_then(|task| {
        let mut command = Command::new(python);
        command
            .args(["-I", "-c", SCRIPT])
            .current_dir(&settings.folder);
        let count = u32::try_from(promises.len()).unwrap_or(u32::MAX);
        let limit = settings.timeout().saturating_mul(count) + OVERHEAD;
        run(command, &task, limit, Errors::GoToTheJournal, MOST_OUTPUT)
    });
    match ran {
        Err(error) => all_broken(promises, &format!("{python} cannot be run: {error}"), when),
        Ok(ran) => outcomes(promises, &ran, when),
    }
}

fn task<'a>(settings: &'a Settings, promises: &'a [Promise], mode: Mode) -> Task<'a> {
    let modules = promises.iter().map(|promise| Module {
        name: &promise.name,
        path: promise.path.as_str(),
    });
    Task {
        folder: settings.folder.as_str(),
        log: settings.folder.join(LOG).into_string(),
        partition: &settings.partition,
        computer: &settings.computer,
        master: &settings.master,
        certificate: settings.certificate.as_ref().map(|path| path.as_str()),
        key: settings.key.as_ref().map(|path| path.as_str()),
        seconds: settings.seconds,
        anomaly: mode == Mode::Anomaly,
        promises: modules.collect(),
    }
}

fn outcomes(promises: &[Promise], ran: &Ran, when: SystemTime) -> Vec<Outcome> {
    let text = String::from_utf8_lossy(&ran.output);
    let mut lines = text.lines();
    let outcome = |_| match lines.next().map(serde_json::from_str::<Line>) {
        Some(Ok(line)) => line.outcome(when),
        Some(Err(error)) => {
            let why = format!("Error: what runs it answers oddly: {error}");
            Outcome::new(Answer::Silent(why), when, Duration::ZERO)
        }
        None => {
            let why = match ran.end {
                End::TooLate => "Error: what runs it took too long",
                End::Well | End::Badly => "Error: what runs it ended early, see its journal",
            };
            Outcome::new(Answer::Silent(why.to_owned()), when, ran.took)
        }
    };
    promises.iter().map(outcome).collect()
}

fn all_broken(promises: &[Promise], why: &str, when: SystemTime) -> Vec<Outcome> {
    let broken = |_| Outcome::new(Answer::Broken(why.to_owned()), when, Duration::ZERO);
    promises.iter().map(broken).collect()
}

impl Line {
    fn outcome(self, when: SystemTime) -> Outcome {
        let answer = match (self.broken, self.silent, self.r#type.as_str(), self.failed) {
            (Some(why), ..) => Answer::Broken(last(why.trim())),
            (None, Some(why), ..) => Answer::Silent(why),
            (None, None, "Empty Result", _) => Answer::Nothing,
            (None, None, _, true) => Answer::Broken(last(&self.message)),
            (None, None, _, false) => Answer::Kept(last(&self.message)),
        };
        let took = Duration::try_from_secs_f64(self.seconds).unwrap_or_default();
        let every = self.minutes.map(|minutes| minutes * 60.0);
        let every = every.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let usual = Outcome::new(answer, when, took);
        Outcome {
            every: every.unwrap_or(usual.every),
            is_tested: self.tested.unwrap_or(true),
            detects_anomalies: self.anomaly.unwrap_or(true),
            ..usual
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use camino::Utf8Path;

    use super::*;
    use crate::promise::list;

    /// As much of slapos.core as a promise sees of it; the real one is `cargo qa test namespaces`'.
    const BASE: &str = "
class Result:
    def __init__(self, kind, failed, message):
        self.kind, self.failed, self.message = kind, failed, message
    def type(self): return self.kind
    def hasFailed(self): return self.failed
class Item:
    def __init__(self, item): self.item = item
class Base:
    minutes = 2
    def __init__(self, config): self.config = config
    def getPeriodicity(self): return self.minutes
    def run(self, anomaly, may_bang):
        kind = 'Anomaly Result' if anomaly else 'Test Result'
        failed, message = self.look(anomaly, may_bang)
        self.config['queue'].put_nowait(Item(Result(kind, failed, message)))
";

    fn looked_at(plugins: &[(&str, &str)], mode: Mode) -> Vec<Outcome> {
        let keep = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(keep.path()).unwrap();
        let put = |path: &str, text: &str| {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(path)
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap();
        };
        put("lib/base.py", BASE);
        for (name, body) in plugins {
            let head = format!("import sys\nsys.path[0:0] = ['{folder}/lib']\n");
            put(&format!("etc/plugin/{name}.py"), &format!("{head}{body}"));
        }
        let settings = Settings {
            folder: folder.to_owned(),
            partition: "slappart3".into(),
            computer: "COMP-1".into(),
            master: "https://[::1]/".into(),
            certificate: None,
            key: None,
            python: Some("python3".into()),
            seconds: 2,
        };
        look(&settings, &list(folder).unwrap(), mode)
    }

    #[test]
    fn each_module_answers_for_itself() {
        let told = "
from base import Base
extra_config_dict = {'port': '80'}
print('not an answer')
class RunPromise(Base):
    minutes = 5
    def look(self, anomaly, may_bang):
        return False, ' '.join([self.config['name'], self.config['port'], self.config['partition-id'], str(may_bang)])
";
        let broken = "
from base import Base
class RunPromise(Base):
    def look(self, anomaly, may_bang): return True, 'no answer'
";
        let hangs = "
import time
class RunPromise:
    def __init__(self, config): time.sleep(60)
";
        let plugins = [
            ("a", told),
            ("b", broken),
            ("c", hangs),
            ("d", "import nothing_such"),
            ("e", told),
        ];
        let found = looked_at(&plugins, Mode::Anomaly);
        let answers: Vec<_> = found.iter().map(|it| it.answer.clone()).collect();
        assert_eq!(answers[0], Answer::Kept("a.py 80 slappart3 True".into()));
        assert_eq!(answers[1], Answer::Broken("no answer".into()));
        let late = "Error: Promise timed out after 2 seconds";
        assert_eq!(answers[2], Answer::Silent(late.into()));
        let Answer::Broken(words) = &answers[3] else {
            panic!("{answers:?}");
        };
        assert!(words.ends_with("No module named 'nothing_such'"), "{words}");
        // One bang is enough.
        assert_eq!(answers[4], Answer::Kept("e.py 80 slappart3 False".into()));
        assert_eq!(found[0].every, Duration::from_secs(300));
        assert!(found[2].took >= Duration::from_secs(2));
    }

    #[test]
    fn without_a_python_all_are_broken() {
        let keep = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(keep.path()).unwrap();
        let promise = Promise {
            form: crate::promise::Form::Plugin,
            name: "a.py".into(),
            path: folder.join("etc/plugin/a.py"),
        };
        let mut settings = Settings {
            folder: folder.to_owned(),
            partition: "slappart3".into(),
            computer: "COMP-1".into(),
            master: String::new(),
            certificate: None,
            key: None,
            python: None,
            seconds: 2,
        };
        let why = |settings: &Settings| {
            let found = look(settings, std::slice::from_ref(&promise), Mode::Test);
            let Answer::Broken(why) = found[0].answer.clone() else {
                panic!("{found:?}");
            };
            why
        };
        assert_eq!(why(&settings), "its release has no Python to run it");
        settings.python = Some("/nowhere/python".into());
        assert!(why(&settings).starts_with("/nowhere/python cannot be run: No such file"));
    }
}
