//! Finds the configuration document: the first channel that has one tells. Says what is wrong with it in words, and erases
//! the token from where it lay once it is used. Decides nothing about enrolment.

mod channels;
mod choice;
mod credential;
mod documents;
mod erase;
mod kept;
mod seed;
mod stick;
mod wait;

pub use channels::{Channel, Found, Provided, first};
pub use choice::{Choice, choose};
pub use erase::{Erased, erase};
pub use kept::{accept, forget_token};
pub use wait::{another, settings};
