//! How often an instance is processed again although nothing about it has changed, as its release says. Pure.

use std::time::{Duration, SystemTime};

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Periodicity {
    Never,
    Every(Duration),
}

/// The file of a release that says it, in seconds; as the peer has it.
pub const FILE: &str = "periodicity";
/// More than a number has.
pub const LONGEST: u64 = 64;
/// As the original's node does if the release says nothing.
const DAY: Duration = Duration::from_secs(86_400);
/// As often as the original's node is run: what wants to be processed at each of its runs is, each minute.
const MINUTE: Duration = Duration::from_secs(60);

impl Periodicity {
    /// Reads what the file says. What is no whole number says nothing, as with the peer.
    pub fn parse(text: &[u8]) -> Self {
        let text = std::str::from_utf8(text).unwrap_or_default();
        match text.trim().parse::<i64>() {
            Err(_) => Self::default(),
            Ok(seconds) => match u64::try_from(seconds) {
                Err(_) => Self::Never,
                Ok(seconds) => Self::Every(Duration::from_secs(seconds).max(MINUTE)),
            },
        }
    }

    /// Says whether what was processed at `last` shall be again at `now`; also when one of them cannot be true.
    pub fn is_over(self, last: SystemTime, now: SystemTime) -> bool {
        match self {
            Self::Never => false,
            Self::Every(time) => match now.duration_since(last) {
                Ok(passed) => passed > time,
                Err(ahead) => ahead.duration() > time,
            },
        }
    }
}

impl Default for Periodicity {
    fn default() -> Self {
        Self::Every(DAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_release_says_how_often_in_seconds() {
        for (text, expected) in [
            ("3600", Periodicity::Every(seconds(3600))),
            (" 90\n", Periodicity::Every(seconds(90))),
            ("0", Periodicity::Every(MINUTE)),
            ("-1", Periodicity::Never),
            ("", Periodicity::Every(DAY)),
            ("1.5", Periodicity::Every(DAY)),
            ("often", Periodicity::Every(DAY)),
            ("99999999999999999999", Periodicity::Every(DAY)),
        ] {
            assert_eq!(Periodicity::parse(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(Periodicity::parse(&[0xff]), Periodicity::Every(DAY));
    }

    #[test]
    fn its_time_is_over_when_it_is_and_when_the_clock_was_set() {
        let at = |count| SystemTime::UNIX_EPOCH + seconds(count);
        let hourly = Periodicity::Every(seconds(3600));
        for (last, now, expected) in [
            (10_000, 13_600, false),
            (10_000, 13_601, true),
            (10_000, 9_990, false),
            (10_000, 6_400, false),
            (10_000, 6_399, true),
        ] {
            assert_eq!(hourly.is_over(at(last), at(now)), expected, "{last} {now}");
        }
        assert!(!Periodicity::Never.is_over(at(0), at(u32::MAX.into())));
    }
}
