//! The programs of the image, compiled so that the path of the sources leaves no trace in them.

use std::process::Command;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::exec;
use crate::progress::Step;
use crate::workspace::Workspace;

/// Packages, each with one program of the same name.
const PROGRAMS: [&str; 4] = [
    "slapbox",
    "slapbox-agent",
    "slapbox-master",
    "slapbox-re6st",
];
/// The same for what runs among other C libraries than its own, and brings what it needs of one.
const ALONE: &str = "slapbox-promises";

/// Compiles the programs and returns their files.
pub(crate) fn compile(workspace: &Workspace) -> Result<Vec<Utf8PathBuf>> {
    let target = workspace.target().join("cargo");
    let mut step = Step::begin("compiling the programs");
    let packages = PROGRAMS.map(|it| format!("--package={it}"));
    let mut build = cargo(workspace, "build", &target)?;
    build.args(packages);
    let alone = format!("--package={ALONE}");
    let mut rustc = cargo(workspace, "rustc", &target)?;
    rustc.args([&alone, "--bin", ALONE, "--", "-Ctarget-feature=+crt-static"]);
    for command in [&mut build, &mut rustc] {
        let log = workspace.target().join("cargo.log");
        exec::run(command, &log, |line| step.at(line.trim()))
            .context("cannot compile the programs of the image")?;
    }
    step.done();
    Ok(PROGRAMS
        .iter()
        .chain([&ALONE])
        .map(|it| target.join("release").join(it))
        .collect())
}

/// Calls cargo so that its work is the same from any path.
fn cargo(workspace: &Workspace, what: &str, target: &Utf8Path) -> Result<Command> {
    let root = workspace.root();
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    let options = ["--release", "--locked", "--target-dir", target.as_str()];
    command.arg(what).args(options).current_dir(root);
    let home = cargo_home()?;
    let rust = [
        format!("--remap-path-prefix={root}=/slapbox"),
        format!("--remap-path-prefix={home}=/cargo"),
        "-Clink-arg=-Wl,--build-id=none".to_owned(),
        // A tenth of each program were relocations, which stay in memory once the loader has read them.
        "-Clink-arg=-Wl,-z,pack-relative-relocs".to_owned(),
    ];
    // C code inside of crates is compiled with the same care.
    let c = format!("-ffile-prefix-map={root}=/slapbox -ffile-prefix-map={home}=/cargo");
    command
        .env("CARGO_ENCODED_RUSTFLAGS", rust.join("\u{1f}"))
        .env("CFLAGS", &c)
        .env("CXXFLAGS", &c)
        .env("CARGO_INCREMENTAL", "0")
        .env("LC_ALL", "C.UTF-8");
    for leak in [
        "RUSTFLAGS",
        "CARGO_MANIFEST_DIR",
        "CARGO_PKG_NAME",
        "CARGO_PKG_VERSION",
        "CARGO_TARGET_DIR",
    ] {
        command.env_remove(leak);
    }
    Ok(command)
}

fn cargo_home() -> Result<Utf8PathBuf> {
    match std::env::var("CARGO_HOME") {
        Ok(home) => Ok(home.into()),
        Err(_) => {
            let home = std::env::var("HOME")
                .context("cannot tell where cargo keeps its files: set HOME")?;
            Ok(Utf8PathBuf::from(home).join(".cargo"))
        }
    }
}
