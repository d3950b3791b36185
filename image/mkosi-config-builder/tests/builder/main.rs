//! The builder from outside: golden files, refusals, round trips, and the real tools.

#![expect(
    clippy::unwrap_used,
    reason = "functions that only tests call are tests too"
)]

mod golden;
mod image;
mod refusals;
mod round_trip;
mod tools;
