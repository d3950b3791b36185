//! The demonstration release: nginx from Debian with `/slapos/instantiate`, as an OCI archive.

use anyhow::{Context, Result};
use camino::Utf8PathBuf;

use crate::cli::Source;
use crate::inputs::Inputs;
use crate::mirror::Mirrors;
use crate::progress::{self, Step};
use crate::workspace::Workspace;
use crate::{disk, host, oci, render, tools};

/// Builds the archive, or finds it built already.
pub(crate) fn build(workspace: &Workspace, source: &Source) -> Result<Utf8PathBuf> {
    let folder = workspace.target().join("demo");
    let (archive, key_file) = (folder.join("demo.oci.tar"), folder.join("demo.key"));
    let mut key = Inputs::default();
    key.tree("demo", &workspace.sources().join("demo"))?;
    if archive.is_file() && key.matches(&key_file) {
        progress::say("demo release: nothing changed");
        return Ok(archive);
    }
    host::check(&workspace.target(), 2)?;
    tools::ensure(workspace, source)?;
    let mirrors = Mirrors::find(source.mirror.as_deref())?;
    let config = folder.join("config");
    disk::renew(&config)?;
    disk::copy_tree(&workspace.sources().join("demo"), &config)?;
    render::release(workspace, &folder, &mirrors)?.write(&config)?;
    disk::renew(&folder.join("out"))?;
    disk::make(&folder.join("work"))?;
    disk::make(&folder.join("cache"))?;
    disk::make(&workspace.packages())?;
    let mut step = Step::begin("building the demo release");
    tools::mkosi(workspace, &mirrors)?
        .build(&config, &[], &folder.join("build.log"), &mut step)
        .context("cannot build the demo release")?;
    oci::pack(&folder.join("out/demo.tar"), &archive).context("cannot pack the demo release")?;
    disk::remove(&folder.join("out"))?;
    step.done();
    key.write(&key_file)?;
    let size = archive
        .metadata()
        .with_context(|| format!("cannot look at `{archive}`"))?
        .len();
    progress::say(&format!("demo release: {:.1} MB", size as f64 / 1e6));
    Ok(archive)
}
