//! From sources to an image: tools, programs, configuration, mkosi, lock; or nothing, if nothing changed.

use anyhow::{Context, Result};
use camino::Utf8Path;

use crate::artifacts::Built;
use crate::cli::Build;
use crate::inputs::Inputs;
use crate::lock::Lock;
use crate::mirror::Mirrors;
use crate::mkosi::Mkosi;
use crate::progress::{self, Step};
use crate::render::{self, Rendered};
use crate::revision::Revision;
use crate::tools::Tree;
use crate::workspace::Workspace;
use crate::{binaries, disk, host, tools};

/// What the image's folder has for mkosi; the rest of it is this program.
const PLAIN: [&str; 6] = [
    "mkosi.conf",
    "mkosi.conf.d",
    "mkosi.extra",
    "mkosi.finalize",
    "mkosi.images",
    "mkosi.profiles",
];

/// Builds the image, or finds it built already.
pub(crate) fn build(workspace: &Workspace, wanted: &Build) -> Result<Built> {
    let expected = wanted.lock.as_deref().map(read_lock).transpose()?;
    host::check(&workspace.target(), 6)?;
    render::check_plain(&workspace.sources())?;
    let tree = tools::ensure(workspace, &wanted.source)?;
    let revision = Revision::find(workspace)?;
    let rendered = render::image(workspace, wanted.profile, &revision)?;
    let programs = binaries::compile(workspace)?;

    let folder = workspace.profile(wanted.profile);
    let built = Built::at(&folder);
    let key_file = folder.join("image.key");
    let key = key(workspace, wanted, &rendered, &programs)?;
    if !wanted.force && built.is_complete() && key.matches(&key_file) {
        if let Some(expected) = &expected {
            read_lock(&folder.join("packages.lock"))?.keep(expected)?;
        }
        progress::say(&format!(
            "image {} ({}): nothing changed, {}",
            revision.version,
            wanted.profile,
            built.sizes()?
        ));
        return Ok(built);
    }
    disk::remove(&key_file)?;
    let mirrors = Mirrors::find(wanted.source.mirror.as_deref())?;
    let config = stage(workspace, &folder, &rendered, &mirrors, &programs)?;
    assemble(workspace, wanted, &mirrors, &config)?;
    finish(workspace, &built, &tree, expected.as_ref())?;
    key.write(&key_file)?;
    progress::say(&format!(
        "image {} ({}): {}",
        revision.version,
        wanted.profile,
        built.sizes()?
    ));
    Ok(built)
}

fn read_lock(path: &Utf8Path) -> Result<Lock> {
    host::read(path)?
        .parse()
        .with_context(|| format!("cannot use the lock `{path}`"))
}

fn key(
    workspace: &Workspace,
    wanted: &Build,
    rendered: &Rendered,
    programs: &[camino::Utf8PathBuf],
) -> Result<Inputs> {
    let mut key = Inputs::default();
    key.text("profile", wanted.profile.name());
    key.text("rendered", &rendered.text());
    key.file("tools", &workspace.tools().join("tree.key"))?;
    for name in PLAIN {
        let path = workspace.sources().join(name);
        if path.is_dir() {
            key.tree(name, &path)?
        } else {
            key.file(name, &path)?
        }
    }
    for program in programs {
        key.file(program.file_name().unwrap_or_default(), program)?;
    }
    Ok(key)
}

/// Lays out the folder that mkosi reads: the plain files, the rendered ones, the programs.
fn stage(
    workspace: &Workspace,
    folder: &Utf8Path,
    rendered: &Rendered,
    mirrors: &Mirrors,
    programs: &[camino::Utf8PathBuf],
) -> Result<camino::Utf8PathBuf> {
    let config = folder.join("config");
    disk::renew(&config)?;
    for name in PLAIN {
        let (from, to) = (workspace.sources().join(name), config.join(name));
        if from.is_dir() {
            disk::copy_tree(&from, &to)?
        } else {
            disk::copy(&from, &to)?
        }
    }
    rendered.write(&config)?;
    Rendered::from(render::sandbox(mirrors)?).write(&config)?;
    let bin = config.join("mkosi.extra/usr/bin");
    disk::make(&bin)?;
    for program in programs {
        disk::copy(program, &bin.join(program.file_name().unwrap_or_default()))?;
    }
    for name in ["out", "work"] {
        disk::renew(&folder.join(name))?;
    }
    disk::make(&folder.join("cache"))?;
    disk::make(&workspace.packages())?;
    Ok(config)
}

fn assemble(
    workspace: &Workspace,
    wanted: &Build,
    mirrors: &Mirrors,
    config: &Utf8Path,
) -> Result<()> {
    let mkosi: Mkosi = tools::mkosi(workspace, mirrors)?;
    let mut step = Step::begin(format!("assembling the image ({})", wanted.profile));
    let log = workspace.profile(wanted.profile).join("build.log");
    mkosi
        .build(config, wanted.profile.layers(), &log, &mut step)
        .with_context(|| format!("cannot assemble the image; if packages could not be fetched from {}, try `--mirror URL`", mirrors.archive))?;
    step.done();
    Ok(())
}

/// Locks, takes and compresses what mkosi made.
fn finish(
    workspace: &Workspace,
    built: &Built,
    tree: &Tree,
    expected: Option<&Lock>,
) -> Result<()> {
    let out = built.folder.join("out");
    let manifests = [out.join("slapbox.manifest"), out.join("initrd.manifest")];
    let archives = workspace.packages().join("cache/apt/archives");
    let lock = Lock::of(&[&manifests[0], &manifests[1]], &archives)?;
    if let Some(expected) = expected {
        lock.keep(expected)?;
    }
    built.take(&out)?;
    disk::replace(
        &built.folder.join("packages.lock"),
        lock.to_string().as_bytes(),
    )?;
    let step = Step::begin("compressing the image");
    built.compress(&mut tree.run("zstd")?)?;
    step.done();
    disk::remove(&out)?;
    progress::say(&format!("{} packages", lock.len()));
    Ok(())
}
