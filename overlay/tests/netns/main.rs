//! What the kernel really does with our requests: tests in network namespaces of their own, as root.
//!
//! A namespace lives as long as the thread that made it, so a failed test leaves nothing behind.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::disallowed_methods, reason = "no power cut concerns a test")]

mod apart;
mod babel;
mod interop;
mod lab;
mod links;
mod member;
mod node;
mod partitions;
mod userspace;
