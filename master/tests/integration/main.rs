//! The master as its clients meet it: over TLS, on a port of its own, with a store in a file.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; functions that tests share are tests too"
)]

mod access;
mod backups;
mod cache;
mod clones;
mod database;
mod enrolment;
mod forward;
mod lab;
mod log;
mod malformed;
mod masters;
mod matrix;
mod partitions;
mod peer;
mod people;
mod process;
mod re6st;
mod releases;
mod rotation;
mod rpc;
mod services;
mod shares;
mod starting;
mod store;
mod tags;
mod trees;
mod troubles;
mod usage;
mod watch;
