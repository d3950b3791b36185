//! The tools tree: Debian trixie's programs in a folder, run from there without chroot, as any user.

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use crate::apt::Apt;
use crate::cli::Source;
use crate::inputs::Inputs;
use crate::mirror::Mirrors;
use crate::mkosi::Mkosi;
use crate::progress::Step;
use crate::workspace::Workspace;
use crate::{disk, host, render};

const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// A finished tools tree.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    path: Utf8PathBuf,
}

impl Tree {
    pub(crate) fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Returns the words that start a program of the tree, to be followed by its arguments.
    pub(crate) fn command(&self, program: &str) -> Result<Vec<String>> {
        let libraries = self.path.join(LIBRARIES);
        let file = ["usr/bin", "usr/sbin"]
            .iter()
            .map(|it| self.path.join(it).join(program))
            .find(|it| it.is_file());
        let file =
            file.with_context(|| format!("the tools tree `{}` has no `{program}`", self.path))?;
        Ok(vec![
            libraries.join("ld-linux-x86-64.so.2").into_string(),
            "--library-path".to_owned(),
            libraries.into_string(),
            file.into_string(),
        ])
    }

    /// Returns the words that start QEMU with the modules and firmware of the tree.
    pub(crate) fn qemu(&self) -> Result<Vec<String>> {
        let modules = self.path.join(LIBRARIES).join("qemu");
        let mut words = vec!["env".to_owned(), format!("QEMU_MODULE_DIR={modules}")];
        words.extend(self.command("qemu-system-x86_64")?);
        for data in ["usr/share/qemu", "usr/share/seabios"] {
            words.extend(["-L".to_owned(), self.path.join(data).into_string()]);
        }
        Ok(words)
    }

    /// Returns a command that runs a program of the tree.
    pub(crate) fn run(&self, program: &str) -> Result<std::process::Command> {
        let words = self.command(program)?;
        let mut command = std::process::Command::new(&words[0]);
        command.args(&words[1..]);
        Ok(command)
    }
}

/// Returns the tools tree if it is there and what it is made of did not change.
pub(crate) fn cached(workspace: &Workspace) -> Result<Option<Tree>> {
    let tree = Tree {
        path: workspace.tools().join("tree"),
    };
    let there = Mkosi::cached(&workspace.tools().join("mkosi")).is_some()
        && key(workspace)?.matches(&key_file(workspace));
    Ok(there.then_some(tree))
}

/// Returns the tools tree, building it if it is missing or its list of packages changed.
pub(crate) fn ensure(workspace: &Workspace, source: &Source) -> Result<Tree> {
    if let Some(tree) = cached(workspace)? {
        return Ok(tree);
    }
    let key = key(workspace)?;
    let tree = Tree {
        path: workspace.tools().join("tree"),
    };
    host::check(&workspace.target(), 4)?;
    let mirrors = Mirrors::find(source.mirror.as_deref())?;
    let mkosi = mkosi(workspace, &mirrors)?;
    build(workspace, &mirrors, &mkosi).context("cannot build the tools tree")?;
    tree.qemu()?;
    key.write(&key_file(workspace))?;
    Ok(tree)
}

/// Returns mkosi, fetching it if it is missing.
pub(crate) fn mkosi(workspace: &Workspace, mirrors: &Mirrors) -> Result<Mkosi> {
    let folder = workspace.tools().join("mkosi");
    match Mkosi::cached(&folder) {
        Some(mkosi) => Ok(mkosi),
        None => Mkosi::fetch(
            &folder,
            &Apt::open(&workspace.tools().join("apt"), mirrors)?,
        ),
    }
}

fn build(workspace: &Workspace, mirrors: &Mirrors, mkosi: &Mkosi) -> Result<()> {
    let tools = workspace.tools();
    let config = tools.join("config");
    disk::remove(&key_file(workspace))?;
    disk::renew(&config)?;
    disk::copy_tree(&workspace.sources().join("tools"), &config)?;
    render::tools(workspace, mirrors)?.write(&config)?;
    let mut step = Step::begin("building the tools tree");
    mkosi.build(&config, &[], &tools.join("build.log"), &mut step)?;
    step.done();
    let built = tools.join("out/tree");
    if !built.is_dir() {
        bail!("mkosi said that it did, but `{built}` is not there");
    }
    disk::remove(&tools.join("tree"))?;
    disk::rename(&built, &tools.join("tree"))
}

fn key(workspace: &Workspace) -> Result<Inputs> {
    let mut inputs = Inputs::default();
    inputs.tree("tools", &workspace.sources().join("tools"))?;
    Ok(inputs)
}

fn key_file(workspace: &Workspace) -> Utf8PathBuf {
    workspace.tools().join("tree.key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_the_tree_run_with_its_own_libraries() {
        let scratch = tempfile::tempdir().unwrap();
        let tree = Tree {
            path: Utf8PathBuf::from_path_buf(scratch.path().to_owned()).unwrap(),
        };
        disk::replace(&tree.path.join("usr/bin/qemu-system-x86_64"), b"").unwrap();
        let words = tree
            .qemu()
            .unwrap()
            .join(" ")
            .replace(tree.path.as_str(), "T");
        assert_eq!(
            words,
            "env QEMU_MODULE_DIR=T/usr/lib/x86_64-linux-gnu/qemu T/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 \
             --library-path T/usr/lib/x86_64-linux-gnu T/usr/bin/qemu-system-x86_64 -L T/usr/share/qemu -L T/usr/share/seabios"
        );
        let error = tree.command("mtools").unwrap_err().to_string();
        assert!(error.contains("has no `mtools`"), "{error}");
    }
}
