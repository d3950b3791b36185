//! Decides what the IPv6 overlay of a network of nodes shall be.
//!
//! The registry gives each computer a prefix and a certificate and tells who else there is; the node agrees with some of them on tunnels and
//! has crate `slapbox-overlay` realise it. A network works without SlapOS: nothing here knows an agent or a master.

pub mod carrier;
pub mod disk;
pub mod domain;
pub mod mesh;
pub mod node;
pub mod reference;
pub mod registry;
pub mod wire;
mod words;
