//! The screen of the box: 80×24, the same on tty1 and on the serial port, drawn when something changes and every ten
//! seconds. Shows what `Status` says and decides nothing. A missing or stuck terminal holds up nobody.

mod outlet;
mod screen;

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::places::Places;
use crate::status::Status;
use crate::world::World;

pub use outlet::Outlet;
pub use screen::{Screen, render};

const EVERY: Duration = Duration::from_secs(10);
/// Changes come in bursts: a slow serial line is not asked to show each.
const AT_MOST_EVERY: Duration = Duration::from_millis(700);

/// Draws until the status has no writer any more.
pub async fn run(places: &Places, mut status: watch::Receiver<Status>, world: World) {
    let mut outlets = outlet::find(places);
    loop {
        let drawn = Instant::now();
        let screen = {
            let status = status.borrow_and_update();
            render(&status, world.seconds())
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
