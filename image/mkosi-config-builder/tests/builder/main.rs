//! The builder from outside: golden files, refusals, round trips, and the real tools.

mod golden;
mod image;
