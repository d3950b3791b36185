//! What an image is called and dated by: the commits that touch its sources, never the clock.

use std::process::Command;

use anyhow::{Context, Result};

use crate::exec;
use crate::workspace::Workspace;

/// What ends up in an image, directly or compiled.
pub(crate) const SOURCES: [&str; 7] = [
    "Cargo.lock",
    "Cargo.toml",
    "agent",
    "image",
    "master",
    "overlay",
    "re6st",
];

/// Version and date of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revision {
    /// `0.1.0-42`: the version of the workspace and the number of commits to the sources.
    pub(crate) version: String,
    /// Seconds since 1970 of the newest of these commits.
    pub(crate) epoch: u64,
}

impl Revision {
    pub(crate) fn find(workspace: &Workspace) -> Result<Self> {
        let git = |args: &[&str]| -> Result<String> {
            let mut command = Command::new("git");
            command.args(["-c", "safe.directory=*", "-C", workspace.root().as_str()]);
            command.args(args).arg("--").args(SOURCES);
            Ok(exec::ask(&mut command)
                .context("cannot tell the version of the sources: build from a git checkout")?
                .trim()
                .to_owned())
        };
        let date = git(&["log", "-1", "--format=%ct", "HEAD"])?;
        let count = git(&["rev-list", "--count", "HEAD"])?;
        let changed = !git(&["status", "--porcelain"])?.is_empty();
        let suffix = if changed { ".changed" } else { "" };
        Ok(Self {
            version: format!("{}-{count}{suffix}", env!("CARGO_PKG_VERSION")),
            epoch: date
                .parse()
                .with_context(|| format!("cannot read the date `{date}` that git printed"))?,
        })
    }
}
