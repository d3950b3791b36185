//! The time of day of a box whose clock nobody has set: the time that the master's CA signs is taken instead.
//! The only place that sets the clock.

use std::time::SystemTime;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_settime};

use crate::places::Places;

/// A clock that differs by less is left to NTP.
const MOST_SECONDS_WRONG: i64 = 60;

/// Seconds since 1970; a clock before that is at its beginning.
pub fn unix_seconds(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
}

/// When the image was made, in seconds since 1970: no clock can be before that.
pub fn image_time(places: &Places) -> i64 {
    let made = |path: &str| {
        std::fs::metadata(places.at(path))
            .and_then(|file| file.modified())
            .ok()
    };
    made("usr/lib/clock-epoch")
        .or_else(|| made("usr/lib/os-release"))
        .map_or(0, unix_seconds)
}

/// Whether NTP has set the clock: it knows better then than a master.
pub fn is_synchronized(places: &Places) -> bool {
    places.at("run/systemd/timesync/synchronized").exists()
}

/// The time to set the clock to, if it is too wrong.
pub fn correction(local: i64, signed: i64) -> Option<i64> {
    (local.abs_diff(signed) > MOST_SECONDS_WRONG.unsigned_abs()).then_some(signed)
}

/// Sets the system's clock.
pub fn set(seconds: i64) -> nix::Result<()> {
    clock_settime(ClockId::CLOCK_REALTIME, TimeSpec::new(seconds, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn a_clock_is_corrected_when_it_is_more_than_a_minute_wrong() {
        let now = 1_795_000_000;
        assert_eq!(correction(0, now), Some(now), "1970");
        assert_eq!(correction(4_085_000_000, now), Some(now), "2099");
        assert_eq!(correction(now + 61, now), Some(now));
        assert_eq!(correction(now - 60, now), None);
        assert_eq!(
            correction(i64::MIN, i64::MAX),
            Some(i64::MAX),
            "whatever is signed"
        );
    }

    #[test]
    fn an_image_knows_when_it_was_made() {
        let folder = tempfile::tempdir().unwrap();
        let root = camino::Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        let places = Places::under(&root);
        assert_eq!(image_time(&places), 0);
        std::fs::create_dir_all(places.at("usr/lib")).unwrap();
        let file = std::fs::File::create(places.at("usr/lib/os-release")).unwrap();
        file.set_modified(UNIX_EPOCH + std::time::Duration::from_secs(1_790_000_000))
            .unwrap();
        assert_eq!(image_time(&places), 1_790_000_000);
    }
}
