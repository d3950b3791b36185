//! The master of a Slapbox cloud: identities and their certificates, what shall run where, published releases.
//!
//! Requests come in through [`listener`] and [`api`], are decided in [`enrolment`], [`allocation`] and [`requests`], and remembered in [`store`].
//! The master never connects to a node: nodes call. (It dials addresses of services, when an operator asks for it.)

pub mod admission;
pub mod allocation;
pub mod api;
pub mod backup;
pub mod ca;
pub mod cache;
pub mod chores;
pub mod cli;
pub mod clock;
pub mod config;
pub mod contacts;
pub mod documents;
pub mod enrolment;
pub mod held;
pub mod identity;
pub mod instance;
pub mod limits;
pub mod listener;
pub mod local;
pub mod master;
pub mod minting;
pub mod placement;
pub mod refusals;
pub mod renaming;
pub mod reports;
pub mod requests;
pub mod serve;
pub mod store;
pub mod supplying;
mod systemd;
pub mod tls;
pub mod user;
pub mod watch;
pub mod welcome;

pub use systemd::notify;
