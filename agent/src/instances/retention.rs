//! How long what an instance leaves is kept after its end, as its request said when it was first made: `retention_delay`, in days.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::inside::{Inside, Ownership};
use crate::partitions::users::Ids;

/// The condition of a request that says it.
pub const CONDITION: &str = "retention_delay";
/// Where the days are noted, as the peer does, and where the date is, once the end has come.
const DELAY: &str = ".slapos-retention-lock-delay";
const DATE: &str = ".slapos-retention-lock-date";
const LONGEST: u64 = 64;
const DAY: f64 = 86_400.0;

/// What is to be kept of an instance whose end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Nothing, or nothing any more.
    Over,
    /// Everything, for a time that has not begun.
    NotBegun,
    /// Everything, for some time yet.
    Lasts,
}

/// Reads how many days a request says; what is no number counts as none, as with the peer.
pub fn days(condition: Option<&str>) -> f64 {
    let days = condition.and_then(|text| text.trim().parse::<f64>().ok());
    days.filter(|days| days.is_finite() && *days > 0.0)
        .unwrap_or(0.0)
}

/// Looks what is to be kept. A note that the partition has spoilt keeps nothing: it is its own loss.
pub fn observe(inside: &Inside, now: SystemTime) -> io::Result<Retention> {
    let Some(days) = number(inside, DELAY)? else {
        return Ok(Retention::Over);
    };
    if self::days(Some(&days.to_string())) == 0.0 {
        return Ok(Retention::Over);
    }
    Ok(match number(inside, DATE)? {
        None => Retention::NotBegun,
        Some(end) if seconds(now) < end => Retention::Lasts,
        Some(_) => Retention::Over,
    })
}

/// Notes the days of an instance that is made for the first time.
pub fn note(inside: &Inside, days: f64, ids: Ids) -> io::Result<()> {
    if inside.read(DELAY, LONGEST)?.is_some() {
        return Ok(());
    }
    put(inside, DELAY, &format!("{days:?}"), ids)
}

/// Begins the time for which everything is kept.
pub fn begin(inside: &Inside, now: SystemTime, ids: Ids) -> io::Result<()> {
    let days = self::days(
        number(inside, DELAY)?
            .map(|days| days.to_string())
            .as_deref(),
    );
    let end = seconds(now).trunc() + days * DAY;
    put(inside, DATE, &format!("{end:?}"), ids)?;
    inside.sync()
}

fn put(inside: &Inside, path: &str, text: &str, ids: Ids) -> io::Result<()> {
    inside.replace(path, text.as_bytes(), Ownership::of_partition(ids, 0o644))
}

fn number(inside: &Inside, path: &str) -> io::Result<Option<f64>> {
    let text = inside.read(path, LONGEST)?;
    Ok(text.and_then(|text| String::from_utf8(text).ok()?.trim().parse().ok()))
}

fn seconds(now: SystemTime) -> f64 {
    let since = now.duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use camino::Utf8Path;

    use super::*;

    #[test]
    fn days_are_a_number_above_nothing() {
        for (text, expected) in [
            (Some("7"), 7.0),
            (Some(" 0.5 "), 0.5),
            (Some("-1"), 0.0),
            (Some("inf"), 0.0),
            (Some("a week"), 0.0),
            (None, 0.0),
        ] {
            assert_eq!(days(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_kept_is_kept_from_the_first_end_on() {
        let keep = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(keep.path()).unwrap();
        let inside = Inside::open(path).unwrap();
        let own = keep.path().metadata().unwrap();
        let ids = Ids {
            uid: own.uid(),
            gid: own.gid(),
        };
        let day = |days: u64| UNIX_EPOCH + Duration::from_secs(days * 86_400);
        let found = |now| observe(&inside, now).unwrap();
        assert_eq!(found(day(1)), Retention::Over);
        note(&inside, 0.0, ids).unwrap();
        assert_eq!(found(day(1)), Retention::Over);
        inside.remove(DELAY).unwrap();
        note(&inside, 2.0, ids).unwrap();
        // What was said first counts.
        note(&inside, 9.0, ids).unwrap();
        assert_eq!(found(day(1)), Retention::NotBegun);
        begin(&inside, day(1), ids).unwrap();
        assert_eq!(found(day(2)), Retention::Lasts);
        assert_eq!(found(day(3)), Retention::Over);
        let text = |name: &str| std::fs::read_to_string(path.join(name)).unwrap();
        assert_eq!((text(DELAY), text(DATE)), ("2.0".into(), "259200.0".into()));
    }
}
