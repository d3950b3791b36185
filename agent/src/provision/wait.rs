//! Waits for a document that counts. A stick may be plugged in at any time; what is wrong with it is said on the screen.

use std::time::Duration;

use anyhow::Context as _;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::channels::{self, Channel, Provided};
use super::choice::{Choice, choose};
use super::{kept, stick};
use crate::config::Settings;
use crate::places::Places;
use crate::status::{Board, Enrolment};

const EVERY: Duration = Duration::from_secs(2);

/// The settings that count, as soon as there are any.
pub async fn settings(places: &Places, board: &Board, enrolled: bool) -> anyhow::Result<Settings> {
    loop {
        let seen = media(places);
        let look = places.clone();
        let (kept, shown) = spawn_blocking(move || (kept::load(&look), channels::first(&look)))
            .await
            .context("the look for a configuration was cut off")?;
        let kept = kept.unwrap_or_else(|error| {
            board.update(|status| status.notices.push(format!("{error:#}")));
            None
        });
        match choose(kept, shown, enrolled) {
            Choice::Keep(settings) => return Ok(settings),
            Choice::KeepAndSay(settings, why) => {
                tracing::warn!("{why}");
                board.update(|status| status.notices.push(why));
                return Ok(settings);
            }
            Choice::Accept(provided, settings) => {
                tracing::info!("the configuration on {} is accepted", provided.channel);
                super::accept(places, &provided, enrolled)?;
                return Ok(settings);
            }
            Choice::Wait => unconfigured(board, None),
            Choice::WaitForBetter(channel, mistake) => {
                let reason = format!("the configuration on {channel} is not good: {mistake}");
                unconfigured(board, Some(reason));
            }
        }
        while media(places) == seen {
            sleep(EVERY).await;
        }
    }
}

/// Waits for a stick that brings another document than the current one. One that is not good is said.
pub async fn another(
    places: &Places,
    board: &Board,
    current: &Settings,
    is_enrolled: impl Fn() -> bool,
) -> (Provided, Settings) {
    let mut seen = stick::Stick::default();
    let mut has_looked = false;
    loop {
        sleep(EVERY).await;
        let now = stick::presence(places);
        if now == seen {
            continue;
        }
        seen = now;
        let look = places.clone();
        let shown = spawn_blocking(move || stick::read(&look)).await;
        let shown = match shown {
            Ok(Ok(Some(bytes))) => super::Found {
                channel: Channel::Stick,
                bytes,
            }
            .read(),
            Ok(Ok(None)) => continue,
            Ok(Err(error)) => {
                say(board, format!("{error:#}"));
                continue;
            }
            Err(error) => {
                say(board, error.to_string());
                continue;
            }
        };
        let is_again = std::mem::replace(&mut has_looked, true);
        match choose(Some(current.clone()), Some(shown.clone()), is_enrolled()) {
            Choice::Accept(provided, settings) => return (*provided, settings),
            Choice::KeepAndSay(_, why) => say(board, why),
            // Whoever plugs the refused one in again wants it to be tried again.
            Choice::Keep(settings) if is_again && !is_enrolled() => return (shown, settings),
            Choice::Keep(_) | Choice::Wait | Choice::WaitForBetter(..) => {}
        }
    }
}

fn say(board: &Board, why: String) {
    tracing::warn!("{why}");
    board.update(|status| status.notices = vec![why]);
}

fn unconfigured(board: &Board, reason: Option<String>) {
    match &reason {
        Some(reason) => tracing::error!("{reason}"),
        None => tracing::warn!("there is no configuration yet"),
    }
    board.update(|status| status.enrolment = Enrolment::Unconfigured { reason });
}

/// What could bring a document after boot: a stick, and devices that come up late.
fn media(places: &Places) -> (stick::Stick, [bool; 2]) {
    let late = [
        "dev/disk/by-partlabel/slapbox-seed",
        "sys/firmware/qemu_fw_cfg/by_name",
    ];
    (
        stick::presence(places),
        late.map(|path| places.at(path).exists()),
    )
}
