//! Days and times of UTC, as documents and file names have them. Pure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::macros::format_description;
use time::{Date, OffsetDateTime};

const SECONDS: i64 = 86_400;

/// A day by the clock of UTC: `2026-11-27`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(Date);

/// A text that is no day.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no day, as in 2026-11-27")]
pub struct NotADay(String);

impl Day {
    /// Returns the day of a moment in seconds since 1970.
    pub fn of(seconds: i64) -> Self {
        Self(moment(seconds).date())
    }

    /// Returns when it begins, in seconds since 1970.
    pub fn start(self) -> i64 {
        self.0.midnight().assume_utc().unix_timestamp()
    }

    /// Returns whether it is so many days before another, or more.
    pub fn is_before_by(self, days: i64, other: Self) -> bool {
        self.start().saturating_add(days * SECONDS) <= other.start()
    }

    /// Returns whether what was last done on `last` is to be done again. A day far ahead is what a wrong clock left.
    pub fn is_due_after(self, last: Option<Self>) -> bool {
        last.is_none_or(|last| self > last || self.is_before_by(2, last))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.0.to_calendar_date();
        write!(f, "{year:04}-{:02}-{day:02}", u8::from(month))
    }
}

impl FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, NotADay> {
        let form = format_description!("[year]-[month]-[day]");
        let date = Date::parse(text, form).map_err(|_| NotADay(text.to_owned()))?;
        Ok(Self(date))
    }
}

impl TryFrom<String> for Day {
    type Error = NotADay;

    fn try_from(text: String) -> Result<Self, NotADay> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

/// Returns a moment as reports of use have it: `2026-11-27 at 23:59:59`.
pub(super) fn stamp(seconds: i64) -> String {
    let (hour, minute, second) = moment(seconds).to_hms();
    format!("{} at {hour:02}:{minute:02}:{second:02}", Day::of(seconds))
}

/// A clock that says what no calendar has is at its beginning.
fn moment(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_is_that_of_utc_and_written_as_files_are_sorted() {
        assert_eq!(Day::of(1_795_867_199), day("2026-11-28"));
        assert_eq!(Day::of(1_795_910_399).to_string(), "2026-11-28");
        assert_eq!(Day::of(1_795_910_400).to_string(), "2026-11-29");
        assert_eq!(day("2026-11-29").start(), 1_795_910_400);
        assert_eq!(stamp(1_795_910_399), "2026-11-28 at 23:59:59");
        assert_eq!(stamp(i64::MAX), "1970-01-01 at 00:00:00");
        for wrong in ["", "2026-11-31", "2026-1-1", "today"] {
            assert_eq!(
                wrong.parse::<Day>().unwrap_err().to_string(),
                format!("`{wrong}` is no day, as in 2026-11-27")
            );
        }
    }

    #[test]
    fn once_a_day_is_once_whatever_a_clock_said_before() {
        let today = day("2026-11-28");
        assert!(today.is_due_after(None));
        assert!(today.is_due_after(Some(day("2026-11-27"))));
        assert!(today.is_due_after(Some(day("1970-01-01"))));
        assert!(!today.is_due_after(Some(today)));
        // Set back over midnight.
        assert!(!today.is_due_after(Some(day("2026-11-29"))));
        assert!(today.is_due_after(Some(day("2099-06-01"))));
    }
}
