//! The bench: boots the product on machines that QEMU makes, and asks from outside whether it works.
//!
//! A [`lab`] is a folder with machines in it; a [`master`], a [`node`] and an [`instance`] are what scenarios speak of;
//! [`eventually`] is the one way to wait. The product is driven by its own programs, never by its code: a black box is tested
//! from outside. Everything the bench starts dies with it.

pub mod accelerator;
pub mod archive;
pub mod blob;
pub mod cell;
pub mod certified_master;
pub mod child;
pub mod console;
pub mod debian;
pub mod eventually;
pub mod evidence;
pub mod figures;
pub mod files;
pub mod gpt;
pub mod guest;
pub mod host;
pub mod http;
pub mod instance;
pub mod keyboard;
pub mod lab;
pub mod load;
pub mod loop_device;
pub mod machine;
pub mod master;
pub mod namespace;
pub mod network;
pub mod node;
pub mod open_master;
pub mod operator;
pub mod overlay_lab;
pub mod overlay_node;
pub mod partitions;
pub mod peer;
pub mod postgres;
pub mod probes;
pub mod product;
pub mod registry;
pub mod releases;
pub mod run;
pub mod seed;
pub mod shelf;
pub mod slapproxy;
pub mod stages;
pub mod stick;
pub mod stock;
pub mod story;
pub mod underlay;
pub mod up;
