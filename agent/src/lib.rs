//! Table of contents.

pub mod desired;
pub mod partitions;
pub mod systemd;
pub mod workload;
