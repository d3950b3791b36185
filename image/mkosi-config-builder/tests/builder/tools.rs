//! The real programs read what we print. A test whose program is not there says so and returns.
//!
//! Programs are taken from `MKOSI_PYTHONPATH`, `SYSTEMD_REPART` and `SYSTEMD_SYSUPDATE`, else from where `cargo image tools`
//! and Debian put them.

mod apt;
mod mkosi;
mod repart;
mod sysupdate;

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use mkosi_config_builder::Tree;
use tempfile::TempDir;

/// What a program said.
#[derive(Debug)]
struct Said {
    success: bool,
    out: String,
    err: String,
}

/// Runs a program; `None` if there is no such program.
fn run(command: &mut Command) -> Option<Said> {
    let output = command.env("LC_ALL", "C.UTF-8").output().ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(Said {
        success: output.status.success(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    })
}

fn skip(reason: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}

fn program(variable: &str, default: &str) -> PathBuf {
    env::var_os(variable).map_or_else(|| default.into(), PathBuf::from)
}

/// Returns the version of a systemd program, from `systemd 257 (257.13-1)`.
fn systemd_version(program: &Path) -> Option<u32> {
    let said = run(Command::new(program).arg("--version"))?;
    said.out.split_whitespace().nth(1)?.parse().ok()
}

/// Writes a tree into a new folder.
fn written(tree: &Tree) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, text) in tree.iter() {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = std::fs::File::create(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
    folder
}
