//! What the product does on this machine itself: 200 partitions in namespaces of their own, as root, boxes that systemd boots in
//! such, a master as a process, and networks for overlays.

mod asked;
mod cache;
mod faults;
mod images;
mod in_a_box;
mod isolation;
mod limits;
mod master;
mod original;
mod overlay;
mod partitions;
mod parts;
mod resources;
mod slapproxy;
mod trees;
mod underlay;
mod usage;
