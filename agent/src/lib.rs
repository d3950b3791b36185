//! Table of contents.

pub mod desired;
pub mod disk;
pub mod format;
pub mod inside;
pub mod partitions;
pub mod systemd;
pub mod workload;
