//! The daemon of a node, as a library so that tests reach its parts: `command` is what the program runs.
//!
//! A box's life (`life`): a document (`provision`, `config`), an identity (`enrol`, `identity`), a role (`roles`), then the
//! loop (`reconcile`) between its master (`master`) and its workload (`workload`). `status` is what `console` shows.

pub mod addresses;
pub mod apply;
pub mod causes;
pub mod clock;
pub mod command;
pub mod config;
pub mod console;
pub mod control;
pub mod desired;
pub mod devices;
pub mod disk;
pub mod enrol;
pub mod firewall;
pub mod format;
pub mod identity;
pub mod inside;
pub mod instances;
pub mod life;
pub mod master;
pub mod memory;
pub mod notify;
pub mod observe;
pub mod observed;
pub mod outlook;
pub mod partitions;
pub mod places;
pub mod plan;
pub mod promises;
pub mod provision;
pub mod quotas;
pub mod reconcile;
pub mod report;
pub mod roles;
pub mod software;
pub mod status;
pub mod systemd;
pub mod usage;
pub mod verdict;
pub mod workload;
pub mod world;
