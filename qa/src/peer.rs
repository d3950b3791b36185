//! The peer that this project re-implements, to be tested against: `slapos.core` from the Python registry, in a folder of the bench's own,
//! and what its node builds releases with. It needs a Python newer than some hosts have: that of the tools tree, run from there.
//! What is here works wherever the folder is mounted, and needs no network any more.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::files::{empty_folder, put};
use crate::host::Host;
use crate::product;
use crate::run::run;

/// Where tests find a Python with the original.
pub const TEST_PYTHON: &str = "SLAPBOX_TEST_PYTHON";

/// What the peer needs.
const REQUIREMENTS: &str = include_str!("../../master/tests/peer/requirements.txt");
/// What the releases need that it builds.
const RECIPES: &str = include_str!("../../master/tests/peer/recipes.txt");

/// Of packages that share the name `slapos`, pip leaves out what says so: what buildout lays elsewhere would not be found with it.
const NAMESPACE: &str = "__import__('pkg_resources').declare_namespace(__name__)\n";

/// Where what is installed is kept, beside the list that it was installed from.
#[derive(Debug)]
pub struct Peer {
    folder: Utf8PathBuf,
}

impl Peer {
    /// Installs the peer, unless it is there as the list of its packages has it.
    pub async fn ensure(host: &Host) -> Result<Self> {
        run(
            "set up the tools tree",
            &host.cargo(&["image", "tools"])?,
            &host.logs,
        )
        .await?;
        let target = product::target()?;
        let tree = target.join("image/tools/tree");
        let peer = Self {
            folder: target.join("qa/peer"),
        };
        std::fs::create_dir_all(&peer.folder)
            .with_context(|| format!("cannot create {}", peer.folder))?;
        peer.link_tree(&tree)?;
        peer.write_python()?;
        let list = peer.folder.join("installed.txt");
        let wanted = [REQUIREMENTS, RECIPES, NAMESPACE].concat();
        if std::fs::read_to_string(&list).is_ok_and(|it| it == wanted) {
            return Ok(peer);
        }
        peer.install(host).await?;
        put(&list, &wanted)?;
        Ok(peer)
    }

    /// Returns the Python that finds the peer, where a test is told of one.
    pub fn told_python() -> Result<Utf8PathBuf> {
        let python = std::env::var(TEST_PYTHON)
            .with_context(|| format!("`{TEST_PYTHON}` names no Python with slapos.core"))?;
        Ok(python.into())
    }

    /// Returns the Python that finds the peer.
    pub fn python(&self) -> Utf8PathBuf {
        self.folder.join("python")
    }

    fn site(&self) -> Utf8PathBuf {
        self.folder.join("site")
    }

    fn link_tree(&self, tree: &Utf8Path) -> Result<()> {
        let link = self.folder.join("tree");
        if link.read_link_utf8().is_ok_and(|it| it == tree) {
            return Ok(());
        }
        if link.is_symlink() {
            std::fs::remove_file(&link).with_context(|| format!("cannot remove {link}"))?;
        }
        symlink(tree, &link).with_context(|| format!("cannot make {link}"))
    }

    /// The interpreter is started by its own loader with its own libraries; what it takes for its name is this script, so that
    /// whatever it starts in turn is started the same way.
    fn write_python(&self) -> Result<()> {
        const SCRIPT: &str = r#"#!/bin/sh
here=${0%/*}
libraries=$here/tree/usr/lib/x86_64-linux-gnu
export PYTHONHOME="$here/tree/usr" PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$here/site"
exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" --argv0 "$0" "$here/tree/usr/bin/python3" "$@"
"#;
        let python = self.python();
        put(&python, SCRIPT)?;
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755))
            .with_context(|| format!("cannot make {python} a program"))
    }

    /// Downloads everything once, as wheels. What was there of another list goes: pip would mix them.
    async fn install(&self, host: &Host) -> Result<()> {
        let (fresh, site, wheels) = (
            self.folder.join("fresh"),
            self.site(),
            self.folder.join("wheels"),
        );
        for folder in [&fresh, &site, &wheels] {
            empty_folder(folder)?;
        }
        let list = self.folder.join("requirements.txt");
        let recipes = self.folder.join("recipes.txt");
        put(&list, REQUIREMENTS)?;
        put(&recipes, RECIPES)?;
        let mut build = self.pip("wheel");
        build
            // What is only there as source is built with what is listed, too.
            .env("PIP_CONSTRAINT", &list)
            .args(["--wheel-dir", wheels.as_str()])
            .args(["--requirement", list.as_str()])
            .args(["--requirement", recipes.as_str()]);
        run("download slapos.core", &build, &host.logs).await?;
        let mut install = self.pip("install");
        install
            .args(["--no-index", "--find-links", wheels.as_str()])
            .args(["--root-user-action", "ignore"])
            .args(["--target", fresh.as_str(), "--requirement", list.as_str()]);
        run("install slapos.core", &install, &host.logs).await?;
        put(&fresh.join("slapos/__init__.py"), NAMESPACE)?;
        keep_dots(&wheels)?;
        std::fs::rename(&fresh, &site).with_context(|| format!("cannot rename {fresh}"))
    }

    fn pip(&self, verb: &str) -> Command {
        let mut pip = Command::new(self.python());
        pip.args(["-m", "pip", verb, "--no-deps"]);
        pip
    }
}

/// Buildout's setuptools finds a wheel by the project's own name only, which newer tools write without its dots.
fn keep_dots(wheels: &Utf8Path) -> Result<()> {
    let lines = REQUIREMENTS.lines().chain(RECIPES.lines());
    let dotted = lines.filter_map(|line| line.split_once("==").map(|(name, _)| name));
    let dotted: Vec<&str> = dotted.filter(|name| name.contains('.')).collect();
    let found = wheels
        .read_dir_utf8()
        .with_context(|| format!("cannot read {wheels}"))?;
    for wheel in found {
        let wheel = wheel.with_context(|| format!("cannot read {wheels}"))?;
        let Some((plain, rest)) = wheel.file_name().split_once('-') else {
            continue;
        };
        if let Some(name) = dotted.iter().find(|name| name.replace('.', "_") == plain) {
            std::fs::rename(wheel.path(), wheels.join(format!("{name}-{rest}")))
                .with_context(|| format!("cannot rename {}", wheel.path()))?;
        }
    }
    Ok(())
}
