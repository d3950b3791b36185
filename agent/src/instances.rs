//! Instances: what runs in a partition, how it is confined, what it promises and publishes.

pub mod answers;
pub mod bridges;
pub mod confinement;
pub mod connection;
pub mod container;
pub mod credentials;
pub mod limits;
pub mod listening;
pub mod periodicity;
pub mod profile;
pub mod programs;
pub mod redirect;
pub mod retention;
pub mod units;
pub mod wishes;
