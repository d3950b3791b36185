//! Time, chance and the one thing that is done to the whole machine: arguments everywhere below `main`.

use std::time::SystemTime;

use aws_lc_rs::rand::fill;

use crate::clock::{self, unix_seconds};

/// The world outside of the box's files and network.
#[derive(Debug, Clone, Copy)]
pub struct World {
    /// The time of day.
    pub now: fn() -> SystemTime,
    /// Bytes that nobody can guess.
    pub nonce: fn() -> [u8; 32],
    /// Between 0 and 1.
    pub chance: fn() -> f64,
    /// Sets the machine's clock to seconds since 1970.
    pub set_clock: fn(i64) -> nix::Result<()>,
}

impl World {
    /// The real one.
    pub fn real() -> Self {
        Self {
            now: SystemTime::now,
            nonce,
            chance,
            set_clock: clock::set,
        }
    }

    /// The time of day in seconds since 1970.
    pub fn seconds(self) -> i64 {
        unix_seconds((self.now)())
    }
}

fn nonce() -> [u8; 32] {
    let mut bytes = [0; 32];
    fill(&mut bytes).expect("the system always has randomness");
    bytes
}

fn chance() -> f64 {
    let [a, b, ..] = nonce();
    f64::from(u16::from_be_bytes([a, b])) / f64::from(u16::MAX)
}
