//! Asks for the time that the master's CA signs, whatever the own clock thinks of certificates, and sets the clock by it.

use std::time::Duration;

use slap::client::{CallError, Client, Clock, Settings, SetupError};

use crate::clock;
use crate::places::Places;
use crate::world::World;

/// Whoever knows the time: a master, called by nobody in particular.
#[derive(Debug)]
pub struct TimeSource {
    client: Client,
    places: Places,
    world: World,
}

impl TimeSource {
    /// The master of these settings.
    pub fn new(settings: &Settings, places: Places, world: World) -> Result<Self, SetupError> {
        let doubting = Settings {
            clock: Clock::Wrong,
            identity: None,
            timeout: Duration::from_secs(20),
            ..settings.clone()
        };
        let client = Client::new(&doubting)?;
        Ok(Self {
            client,
            places,
            world,
        })
    }

    /// Sets the clock if it is wrong. A master that tells no time changes nothing.
    pub async fn keep(&self) -> Result<(), CallError> {
        let signed = match self.client.time(&(self.world.nonce)()).await {
            Err(CallError::NotFound(_)) => return Ok(()),
            answer => answer?,
        };
        let local = self.world.seconds();
        let Some(right) = clock::correction(local, signed) else {
            return Ok(());
        };
        let wrong = local - right;
        if clock::is_synchronized(&self.places) && self.is_possible() {
            tracing::warn!("the master's time is {wrong} s from NTP's; NTP is believed");
            return Ok(());
        }
        match (self.world.set_clock)(right) {
            Ok(()) => tracing::warn!("the clock was {wrong} s wrong, it is set to the master's"),
            Err(error) => {
                tracing::error!("the clock is {wrong} s wrong and cannot be set: {error}")
            }
        }
        Ok(())
    }

    /// Whether it can be as late as the clock says: never before the image was made.
    pub fn is_possible(&self) -> bool {
        self.world.seconds() >= clock::image_time(&self.places)
    }
}
