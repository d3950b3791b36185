//! Makes the IPv6 overlay exist on a node: addresses, routes and taps of partitions, WireGuard links, tunnels, Babel.
//!
//! It realises what others decide and knows links, not clouds: it never imports `slap`, the agent or the master.

pub mod apart;
pub mod babel;
pub mod keys;
pub mod links;
mod netlink;
pub mod partitions;
mod tap;
pub mod userspace;

pub use netlink::Error as NetlinkError;
