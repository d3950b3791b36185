//! `cargo image …`: builds, stamps and verifies the Slapbox image. The root file system itself is in `mkosi.extra/`
//! and the settings in `mkosi.*`; this program fetches the tools, renders what varies and runs mkosi.

mod apt;
mod artifacts;
mod assemble;
mod binaries;
mod cli;
mod debian;
mod disk;
mod exec;
mod gpt;
mod guard;
mod host;
mod inputs;
mod layout;
mod lock;
mod mirror;
mod mkosi;
mod oci;
mod package;
mod profile;
mod progress;
mod releases;
mod render;
mod revision;
mod stamp;
mod tools;
mod verify;
mod workspace;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
