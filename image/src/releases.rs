//! Root file systems of Debian as OCI archives: the demonstration release, nginx with `/slapos/instantiate`; the builder, in which
//! nodes build software; and the release that runs a virtual machine.

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::Source;
use crate::inputs::Inputs;
use crate::mirror::Mirrors;
use crate::progress::{self, Step};
use crate::tools::Tree;
use crate::workspace::Workspace;
use crate::{disk, exec, host, oci, render, tools};

/// What can be built; its sources lie in the folder of the same name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Release {
    Demo,
    Builder,
    Kvm,
}

/// Where the builder has buildout.
const BUILDOUT: &str = "/usr/lib/buildout";

impl Release {
    fn name(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Builder => "builder",
            Self::Kvm => "kvm",
        }
    }

    /// What it asks of a node beyond what every release has.
    fn labels(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Demo | Self::Builder => &[],
            Self::Kvm => &[("org.slapbox.devices", "kvm,tun")],
        }
    }
}

/// Builds the archive, or finds it built already.
pub(crate) fn build(
    workspace: &Workspace,
    source: &Source,
    release: Release,
) -> Result<Utf8PathBuf> {
    let name = release.name();
    let folder = workspace.target().join(name);
    let archive = folder.join(format!("{name}.oci.tar"));
    let key_file = folder.join(format!("{name}.key"));
    let sources = workspace.sources().join(name);
    let mut key = Inputs::default();
    key.tree(name, &sources)?;
    if archive.is_file() && key.matches(&key_file) {
        progress::say(&format!("{name}: nothing changed"));
        return Ok(archive);
    }
    host::check(&workspace.target(), 2)?;
    let tools = tools::ensure(workspace, source)?;
    let mirrors = Mirrors::find(source.mirror.as_deref())?;
    let config = folder.join("config");
    disk::renew(&config)?;
    disk::copy_tree(&sources, &config)?;
    if let Release::Builder = release {
        add_buildout(&tools, &config, &folder.join("buildout.log"))?;
    }
    render::release(workspace, &folder, &mirrors)?.write(&config)?;
    disk::renew(&folder.join("out"))?;
    disk::make(&folder.join("work"))?;
    disk::make(&folder.join("cache"))?;
    disk::make(&workspace.packages())?;
    let mut step = Step::begin(format!("building the {name}"));
    tools::mkosi(workspace, &mirrors)?
        .build(&config, &[], &folder.join("build.log"), &mut step)
        .with_context(|| format!("cannot build the {name}"))?;
    let rootfs = folder.join(format!("out/{name}.tar"));
    oci::pack(&rootfs, release.labels(), &archive)
        .with_context(|| format!("cannot pack the {name}"))?;
    disk::remove(&folder.join("out"))?;
    step.done();
    key.write(&key_file)?;
    let size = archive
        .metadata()
        .with_context(|| format!("cannot look at `{archive}`"))?
        .len();
    progress::say(&format!("{name}: {:.1} MB", size as f64 / 1e6));
    Ok(archive)
}

/// Lays buildout, from the Python registry, over the root. What is there by that name is checked by its digest.
fn add_buildout(tools: &Tree, config: &Utf8Path, log: &Utf8Path) -> Result<()> {
    let place = config.join(format!("mkosi.extra{BUILDOUT}"));
    let mut pip = tools.run("python3")?;
    pip.env("PYTHONHOME", tools.path().join("usr"))
        .args(["-m", "pip", "install", "--no-deps", "--no-compile"])
        .args(["--require-hashes", "--only-binary", ":all:"])
        .args(["--root-user-action", "ignore", "--target", place.as_str()])
        .args(["--requirement", config.join("requirements.txt").as_str()]);
    exec::run(&mut pip, log, |_| {}).context("cannot fetch buildout")?;
    // Scripts with the name of this machine's Python.
    disk::remove(&place.join("bin"))?;
    compile(tools, &place, log)
}

/// Compiles buildout's modules, by the tools' Python, which is of the builder's own release. Who makes an instance may not write there,
/// and would compile all of them each time.
fn compile(tools: &Tree, place: &Utf8Path, log: &Utf8Path) -> Result<()> {
    let mut python = tools.run("python3")?;
    python
        .env("PYTHONHOME", tools.path().join("usr"))
        .args(["-m", "compileall", "-q"])
        // By what is in the module and where it will be, and neither by a time nor by where it is now.
        .args(["--invalidation-mode", "unchecked-hash"])
        .args(["-s", place.as_str(), "-p", BUILDOUT, place.as_str()]);
    exec::run(&mut python, log, |_| {}).context("cannot compile buildout")
}
