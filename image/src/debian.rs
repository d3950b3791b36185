//! A stock Debian on a disk, for the test that makes a node of a machine of somebody's own. Never shipped. It starts with the
//! initrd of the product, which is trimmed for machines that are emulated.

use anyhow::{Context, Result};
use camino::Utf8PathBuf;

use crate::cli::Source;
use crate::inputs::Inputs;
use crate::mirror::Mirrors;
use crate::progress::{self, Step};
use crate::workspace::Workspace;
use crate::{disk, host, render, tools};

const NAME: &str = "debian";
/// What it borrows from the product.
const INITRD: [&str; 2] = ["mkosi.conf.d/40-initrd-modules.conf", "mkosi.images"];

/// Builds the disk, or finds it built already.
pub(crate) fn build(workspace: &Workspace, source: &Source) -> Result<Utf8PathBuf> {
    let folder = workspace.target().join(NAME);
    let image = folder.join("debian.raw");
    let key_file = folder.join("debian.key");
    let key = key(workspace)?;
    if image.is_file() && key.matches(&key_file) {
        progress::say("stock Debian: nothing changed");
        return Ok(image);
    }
    host::check(&workspace.target(), 4)?;
    render::check_plain(&workspace.sources())?;
    tools::ensure(workspace, source)?;
    let mirrors = Mirrors::find(source.mirror.as_deref())?;
    let config = folder.join("config");
    stage(workspace, &config)?;
    render::debian(workspace, &folder, &mirrors)?.write(&config)?;
    disk::renew(&folder.join("out"))?;
    disk::renew(&folder.join("work"))?;
    disk::make(&folder.join("cache"))?;
    disk::make(&workspace.packages())?;
    let mut step = Step::begin("building a stock Debian");
    tools::mkosi(workspace, &mirrors)?
        .build(&config, &[], &folder.join("build.log"), &mut step)
        .context("cannot build a stock Debian")?;
    disk::rename(&folder.join("out/debian.raw"), &image)?;
    disk::remove(&folder.join("out"))?;
    step.done();
    key.write(&key_file)?;
    Ok(image)
}

fn key(workspace: &Workspace) -> Result<Inputs> {
    let mut key = Inputs::default();
    key.tree(NAME, &workspace.sources().join(NAME))?;
    for name in INITRD {
        let path = workspace.sources().join(name);
        if path.is_dir() {
            key.tree(name, &path)?;
        } else {
            key.file(name, &path)?;
        }
    }
    Ok(key)
}

fn stage(workspace: &Workspace, config: &Utf8PathBuf) -> Result<()> {
    disk::renew(config)?;
    disk::copy_tree(&workspace.sources().join(NAME), config)?;
    for name in INITRD {
        let (from, to) = (workspace.sources().join(name), config.join(name));
        disk::make(to.parent().unwrap_or(config))?;
        if from.is_dir() {
            disk::copy_tree(&from, &to)?;
        } else {
            disk::copy(&from, &to)?;
        }
    }
    Ok(())
}
