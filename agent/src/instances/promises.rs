//! What becomes of a look at a promise: the file that SlapOS's tools read, and how long to be patient.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::time::Instant;

use crate::observed::Promises;

/// How long a promise may take.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// The longest message that is kept.
pub const LONGEST_MESSAGE: usize = 5000;

/// How long programs get to come up before a broken promise is an error.
const PATIENCE: Duration = Duration::from_secs(90);
/// How soon to look again while they come up, at other times after a failure, and when all is well.
const SOON: Duration = Duration::from_secs(2);
const AFTER_FAILURE: Duration = Duration::from_secs(20);
const WHEN_KEPT: Duration = Duration::from_secs(120);
/// As with the peer: once is nothing, three times is an anomaly.
const FAILURES_THAT_LAST: u32 = 3;

/// What is known of a partition's promises.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// When a program was last started.
    started: Option<Instant>,
    last: Option<(Instant, Result<(), String>)>,
    failures: u32,
}

impl Record {
    /// Notes that a program was started: what was known is known no more.
    pub fn program_started(&mut self, now: Instant) {
        *self = Self {
            started: Some(now),
            ..Self::default()
        };
    }

    /// Notes what a look at all promises said.
    pub fn checked(&mut self, now: Instant, result: Result<(), String>) {
        self.failures = match result {
            Ok(()) => 0,
            Err(_) => self.failures + 1,
        };
        self.last = Some((now, result));
    }

    /// Returns what is known.
    pub fn promises(&self, now: Instant) -> Promises {
        match &self.last {
            None => Promises::Unknown,
            Some((_, Ok(()))) => Promises::Kept,
            Some((_, Err(message))) => Promises::Broken {
                message: message.clone(),
                lasting: !self.is_coming_up(now) && self.failures >= FAILURES_THAT_LAST,
            },
        }
    }

    /// Returns how long until the next look.
    pub fn due_in(&self, now: Instant) -> Duration {
        let Some((last, result)) = &self.last else {
            return Duration::ZERO;
        };
        let rest = match result {
            Ok(()) => WHEN_KEPT,
            Err(_) if self.is_coming_up(now) || self.failures < FAILURES_THAT_LAST => SOON,
            Err(_) => AFTER_FAILURE,
        };
        (*last + rest).saturating_duration_since(now)
    }

    /// Returns how long until the next look, if there was one.
    pub fn next_look(&self, now: Instant) -> Option<Duration> {
        self.last.as_ref().map(|_| self.due_in(now))
    }

    fn is_coming_up(&self, now: Instant) -> bool {
        self.started
            .is_some_and(|started| now.saturating_duration_since(started) < PATIENCE)
    }
}

/// The result of one promise, as `.slapgrid/promise/result/<title>.status.json` has it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status<'a> {
    title: &'a str,
    name: &'a str,
    path: &'a str,
    execution_time: f64,
    result: StatusResult<'a>,
}

#[derive(Debug, Serialize)]
struct StatusResult<'a> {
    r#type: &'static str,
    failed: bool,
    date: String,
    message: &'a str,
}

impl<'a> Status<'a> {
    /// Builds the document.
    pub fn new(
        name: &'a str,
        path: &'a str,
        took: Duration,
        now: SystemTime,
        result: Result<&'a str, &'a str>,
    ) -> Self {
        let (failed, message) = match result {
            Ok(message) => (false, message),
            Err(message) => (true, message),
        };
        Self {
            title: name,
            name,
            path,
            execution_time: (took.as_secs_f64() * 100.0).round() / 100.0,
            result: StatusResult {
                r#type: "Test Result",
                failed,
                date: date(now),
                message,
            },
        }
    }
}

fn date(now: SystemTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]+0000");
    OffsetDateTime::from(now)
        .format(format)
        .expect("a date has all parts of the format")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken() -> Result<(), String> {
        Err("no answer".to_owned())
    }

    #[test]
    fn programs_that_come_up_are_looked_at_often_and_patiently() {
        let start = Instant::now();
        let mut record = Record::default();
        record.program_started(start);
        assert_eq!(record.promises(start), Promises::Unknown);
        assert_eq!(record.due_in(start), Duration::ZERO);
        for second in (0..80).step_by(2) {
            let now = start + Duration::from_secs(second);
            record.checked(now, broken());
            let message = "no answer".to_owned();
            let lasting = false;
            assert_eq!(record.promises(now), Promises::Broken { message, lasting });
            assert_eq!(record.due_in(now), SOON);
        }
        let late = start + PATIENCE;
        record.checked(late, broken());
        assert!(matches!(
            record.promises(late),
            Promises::Broken { lasting: true, .. }
        ));
        assert_eq!(record.due_in(late), AFTER_FAILURE);
        record.checked(late, Ok(()));
        assert_eq!(record.promises(late), Promises::Kept);
        assert_eq!(record.due_in(late), WHEN_KEPT);
    }

    #[test]
    fn a_promise_of_what_runs_must_fail_three_times_to_be_broken() {
        let now = Instant::now();
        let mut record = Record::default();
        let lasting = |record: &Record| {
            matches!(record.promises(now), Promises::Broken { lasting: true, .. })
        };
        record.checked(now, Ok(()));
        record.checked(now, broken());
        record.checked(now, broken());
        assert!(!lasting(&record));
        record.checked(now, broken());
        assert!(lasting(&record));
    }

    #[test]
    fn the_status_file_is_the_one_that_slapos_reads() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_209_278);
        let took = Duration::from_millis(1234);
        let status = Status::new("web", "etc/promise/web", took, now, Err("no answer"));
        assert_eq!(
            serde_json::to_string(&status).unwrap(),
            r#"{"title":"web","name":"web","path":"etc/promise/web","execution-time":1.23,"result":{"type":"Test Result","failed":true,"date":"2026-11-20T21:14:38+0000","message":"no answer"}}"#
        );
    }
}
