//! Builds the image twice, from this checkout and from a new one at another path, and compares what came out.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::artifacts::Built;
use crate::cli::Build;
use crate::progress::{self, Step};
use crate::workspace::Workspace;
use crate::{assemble, disk, exec, revision};

/// The other checkout: its path is longer, so that a path in a file moves what is behind it.
const ANOTHER: &str = "verify/another-checkout";

/// Builds twice; fails naming the first part that differs.
///
/// The image of this checkout is the one that would be shipped, built over what earlier builds left; the other starts from nothing.
pub(crate) fn verify(workspace: &Workspace, wanted: &Build) -> Result<ExitCode> {
    let own = assemble::build(workspace, wanted)?.hashes()?;
    let root = workspace.target().join(ANOTHER);
    checkout(workspace, &root)?;
    progress::say(&format!("building from `{root}`"));
    let built = assemble::build(&workspace.fresh(&root), wanted)?;
    let others = built.hashes()?;
    forget(&built, &root)?;
    let mut first = None;
    for ((part, one), (_, other)) in own.iter().zip(&others) {
        let same = one == other;
        progress::answer(&format!(
            "{part:7} {one} {}",
            if same { "same" } else { "DIFFERS" }
        ));
        if !same {
            progress::answer(&format!("{:7} {other}", ""));
            first = first.or(Some(*part));
        }
    }
    Ok(match first {
        None => {
            progress::answer("both builds are identical");
            ExitCode::SUCCESS
        }
        Some(part) => {
            progress::answer(&format!("the builds differ, first in: {part}"));
            ExitCode::FAILURE
        }
    })
}

/// Makes a copy of the sources as they are, with their history, which version and date come from.
fn checkout(workspace: &Workspace, root: &Utf8Path) -> Result<()> {
    let step = Step::begin(format!("copying the sources to `{root}`"));
    disk::remove(root)?;
    disk::make(root.parent().unwrap_or(root))?;
    let git = |from: &Utf8Path| {
        let mut command = Command::new("git");
        command.args(["-c", "safe.directory=*", "-C", from.as_str()]);
        command
    };
    let mut clone = git(workspace.root());
    clone.args(["clone", "--quiet", "--no-hardlinks", ".", root.as_str()]);
    exec::ask(&mut clone).context("cannot copy the sources")?;
    let mut list = git(workspace.root());
    list.args([
        "ls-files",
        "--modified",
        "--others",
        "--deleted",
        "--exclude-standard",
        "-z",
        "--",
    ]);
    list.args(revision::SOURCES);
    let changed = exec::ask(&mut list).context("cannot list changed sources")?;
    for name in changed.split('\0').filter(|it| !it.is_empty()) {
        let (from, to): (Utf8PathBuf, Utf8PathBuf) = (workspace.root().join(name), root.join(name));
        disk::remove(&to)?;
        if from.symlink_metadata().is_ok() {
            disk::make(to.parent().unwrap_or(root))?;
            disk::copy(&from, &to)?;
        }
    }
    step.done();
    Ok(())
}

/// Keeps what is needed to look into a difference, and drops the gigabytes of compiling.
fn forget(built: &Built, root: &Utf8Path) -> Result<()> {
    for name in ["config", "cache", "work"] {
        disk::remove(&built.folder.join(name))?;
    }
    disk::remove(&root.join("target/image/cargo"))
}
