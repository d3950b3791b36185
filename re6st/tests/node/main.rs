//! Nodes against a real registry, in one process: only the machine under them is not real.
#![expect(clippy::unwrap_used, reason = "tests")]

mod blocked;
mod lab;
mod mesh;
mod names;
mod tls;
