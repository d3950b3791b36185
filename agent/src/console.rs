//! The screen of the box: 80×24, the same on tty1 and on the serial port, drawn when something changes and every ten
//! seconds. Shows what `Status` says and decides nothing. A missing or stuck terminal holds up nobody.

mod outlet;
mod screen;

use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::places::Places;
use crate::status::Status;

pub use outlet::Outlet;
pub use screen::{Screen, render};

const EVERY: Duration = Duration::from_secs(10);
/// Changes come in bursts: a slow serial line is not asked to show each.
const AT_MOST_EVERY: Duration = Duration::from_millis(700);

/// Draws until the status has no writer any more.
pub async fn run(places: &Places, mut status: watch::Receiver<Status>, clock: fn() -> SystemTime) {
    let mut outlets = outlet::find(places);
    loop {
        let drawn = Instant::now();
        let screen = {
            let status = status.borrow_and_update();
            render(&status, unix_seconds(clock()))
        };
        for outlet in &mut outlets {
            outlet.draw(&screen).await;
        }
        let changed = tokio::time::timeout_at(drawn + EVERY, status.changed()).await;
        if let Ok(Err(_)) = changed {
            return;
        }
        sleep_until(drawn + AT_MOST_EVERY).await;
    }
}

/// Seconds since 1970; a clock before that is at its beginning.
pub fn unix_seconds(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
}
