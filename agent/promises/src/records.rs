//! The files by which SlapOS's tools know a partition's promises: results, logs and what was learnt for the next time. They are the
//! partition's own, and none of them is believed here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::promise::{Form, Mode, Outcome, Promise};
use crate::rounds::Verdict;

/// Where logs are, in the partition's directory.
pub const LOG: &str = ".slapgrid/promise/log";
const RESULT: &str = ".slapgrid/promise/result";
const CACHE: &str = ".slapgrid/promise/cache";
/// A log that is longer begins anew; the one before it is kept beside it.
const LONGEST_LOG: u64 = 1024 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Status<'a> {
    title: &'a str,
    name: &'a str,
    path: &'a str,
    execution_time: f64,
    result: StatusResult<'a>,
}

#[derive(Serialize)]
struct StatusResult<'a> {
    r#type: &'static str,
    failed: bool,
    date: String,
    message: &'a str,
}

#[derive(Serialize)]
struct Learnt<'a> {
    is_tested: bool,
    is_anomaly_detected: bool,
    periodicity: f64,
    next_run_after: f64,
    timestamp: f64,
    module_file: &'a str,
    module_file_mtime: i64,
}

/// Writes down what a look at a promise came to; of one that answered nothing, only that.
pub fn write(
    folder: &Utf8Path,
    promise: &Promise,
    outcome: &Outcome,
    verdict: Option<&Verdict>,
) -> io::Result<()> {
    for below in [RESULT, CACHE, LOG] {
        fs::create_dir_all(folder.join(below))?;
    }
    let learnt = folder.join(CACHE).join(promise.title());
    replace(&learnt, &learnt_of(promise, outcome)?)?;
    let Some(verdict) = verdict else {
        return Ok(());
    };
    let status = format!("{RESULT}/{}.status.json", promise.title());
    let text = serde_json::to_vec(&status_of(promise, outcome, verdict))?;
    replace(&folder.join(status), &text)?;
    match promise.form {
        // A plugin keeps its log itself.
        Form::Plugin => Ok(()),
        Form::Executable | Form::Bridge => log(folder, promise, outcome, verdict),
    }
}

fn status_of<'a>(promise: &'a Promise, outcome: &Outcome, verdict: &'a Verdict) -> Status<'a> {
    Status {
        title: promise.title(),
        name: &promise.name,
        path: promise.path.as_str(),
        execution_time: (outcome.took.as_secs_f64() * 100.0).round() / 100.0,
        result: StatusResult {
            r#type: match verdict.kind {
                Mode::Test => "Test Result",
                Mode::Anomaly => "Anomaly Result",
            },
            failed: verdict.failed,
            date: date(outcome.when),
            message: &verdict.message,
        },
    }
}

fn learnt_of(promise: &Promise, outcome: &Outcome) -> io::Result<Vec<u8>> {
    let now = seconds(outcome.when);
    let learnt = Learnt {
        is_tested: outcome.is_tested,
        is_anomaly_detected: outcome.detects_anomalies,
        periodicity: outcome.every.as_secs_f64() / 60.0,
        next_run_after: now + outcome.every.as_secs_f64(),
        timestamp: now,
        module_file: promise.path.as_str(),
        module_file_mtime: fs::metadata(&promise.path).map_or(0, |file| file.mtime()),
    };
    Ok(serde_json::to_vec(&learnt)?)
}

fn log(
    folder: &Utf8Path,
    promise: &Promise,
    outcome: &Outcome,
    verdict: &Verdict,
) -> io::Result<()> {
    let path = folder.join(LOG).join(format!("{}.log", promise.title()));
    if fs::metadata(&path).is_ok_and(|file| file.len() > LONGEST_LOG) {
        fs::rename(&path, format!("{path}.1"))?;
    }
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let date = OffsetDateTime::from(outcome.when).format(format);
    let date = date.map_err(io::Error::other)?;
    let level = match outcome.answer {
        crate::promise::Answer::Kept(_) | crate::promise::Answer::Nothing => "INFO",
        crate::promise::Answer::Broken(_) | crate::promise::Answer::Silent(_) => "ERROR",
    };
    let since = outcome.when.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Tells two looks within a second apart.
    let mark = 100 + since.subsec_millis() % 900;
    let line = format!(
        "{date} - {level} - {}-{mark} - {}\n",
        since.as_secs(),
        verdict.message
    );
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line.as_bytes())
}

fn replace(path: &Utf8Path, content: &[u8]) -> io::Result<()> {
    let new = Utf8PathBuf::from(format!("{path}.tmp"));
    File::create(&new)?.write_all(content)?;
    fs::rename(&new, path)
}

fn date(when: SystemTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]+0000");
    OffsetDateTime::from(when)
        .format(format)
        .unwrap_or_default()
}

fn seconds(when: SystemTime) -> f64 {
    let since = when.duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promise::Answer;

    #[test]
    fn the_files_are_those_that_slapos_reads() {
        let keep = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(keep.path()).unwrap();
        let promise = Promise {
            form: Form::Executable,
            name: "web.sh".into(),
            path: "/srv/slapgrid/slappart0/etc/promise/web.sh".into(),
        };
        let when = UNIX_EPOCH + Duration::from_millis(1_795_209_278_250);
        let answer = Answer::Broken("no answer".into());
        let outcome = Outcome::new(answer, when, Duration::from_millis(1234));
        let verdict = Verdict {
            kind: Mode::Test,
            failed: true,
            message: "no answer".into(),
        };
        for _ in 0..2 {
            write(folder, &promise, &outcome, Some(&verdict)).unwrap();
        }
        let text = |path: &str| fs::read_to_string(folder.join(path)).unwrap();
        assert_eq!(
            text(".slapgrid/promise/result/web.status.json"),
            r#"{"title":"web","name":"web.sh","path":"/srv/slapgrid/slappart0/etc/promise/web.sh","execution-time":1.23,"result":{"type":"Test Result","failed":true,"date":"2026-11-20T21:14:38+0000","message":"no answer"}}"#
        );
        assert_eq!(
            text(".slapgrid/promise/cache/web"),
            r#"{"is_tested":true,"is_anomaly_detected":true,"periodicity":2.0,"next_run_after":1795209398.25,"timestamp":1795209278.25,"module_file":"/srv/slapgrid/slappart0/etc/promise/web.sh","module_file_mtime":0}"#
        );
        let line = "2026-11-20 21:14:38 - ERROR - 1795209278-350 - no answer\n";
        assert_eq!(text(".slapgrid/promise/log/web.log"), line.repeat(2));
    }
}
