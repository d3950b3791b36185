//! Where the things under test are: the image, the demo release, the programs, and the tools tree that QEMU comes from.
//! Only finds them; the commands of `image/` and cargo make them.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use crate::files;
use crate::story::detail;

/// The product as the last build left it.
#[derive(Debug, Clone)]
pub struct Product {
    /// The disk image of the profile `vm`.
    pub image: Utf8PathBuf,
    /// Its `/usr` alone, as it lies in the image.
    pub usr: Utf8PathBuf,
    /// The demo release.
    pub demo: Utf8PathBuf,
    /// What nodes build software in; not needed by every test.
    pub builder: Utf8PathBuf,
    /// What QEMU and mtools come from.
    pub tools: Tools,
}

/// The tools tree: programs of a current Debian, whatever the host has.
#[derive(Debug, Clone)]
pub struct Tools {
    root: Utf8PathBuf,
}

impl Product {
    /// Finds what was built, or says what is missing.
    pub fn find() -> Result<Self> {
        let built = target()?.join("image");
        let product = Self {
            image: built.join("vm/slapbox.raw"),
            usr: built.join("vm/slapbox.usr.raw"),
            demo: built.join("demo/demo.oci.tar"),
            builder: built.join("builder/builder.oci.tar"),
            tools: Tools::find()?,
        };
        for (path, command) in [
            (&product.image, "cargo image build --profile vm"),
            (&product.usr, "cargo image build --profile vm"),
            (&product.demo, "cargo image demo"),
            (&product.tools.root, "cargo image tools"),
        ] {
            if !path.exists() {
                bail!("{path} is not there: `{command}` makes it, and `cargo qa test` runs that");
            }
        }
        Ok(product)
    }
}

/// Set by `cargo qa test`: there, a test that is not played has failed.
pub const NOTHING_IS_SKIPPED: &str = "SLAPBOX_QA_NOTHING_IS_SKIPPED";

/// Passes over a test that lacks something, with the reason; fails it where nothing may be skipped.
pub fn skip(test: &str, reason: &str) -> Result<()> {
    if std::env::var_os(NOTHING_IS_SKIPPED).is_some() {
        bail!("{test} cannot be played: {reason}");
    }
    detail(format_args!("{test} is not played: {reason}"));
    Ok(())
}

impl Tools {
    /// Where `cargo image tools` puts the tree, whether or not it is there.
    pub fn find() -> Result<Self> {
        Ok(Self {
            root: target()?.join("image/tools/tree"),
        })
    }

    /// Whether the tree is there.
    pub fn exist(&self) -> bool {
        self.file("usr/bin/qemu-img").exists()
    }

    /// A program of the tree, run with the tree's own libraries.
    pub fn command(&self, program: &str) -> Command {
        let libraries = self.file("usr/lib/x86_64-linux-gnu");
        let mut command = Command::new(libraries.join("ld-linux-x86-64.so.2"));
        command
            .arg("--library-path")
            .arg(libraries.as_str())
            .arg(self.file("usr/bin").join(program));
        command
    }

    /// QEMU, with the tree's own modules and firmware.
    pub fn qemu(&self) -> Command {
        let mut command = self.command("qemu-system-x86_64");
        command.env(
            "QEMU_MODULE_DIR",
            self.file("usr/lib/x86_64-linux-gnu/qemu"),
        );
        for folder in ["usr/share/qemu", "usr/share/seabios"] {
            command.arg("-L").arg(self.file(folder));
        }
        command
    }

    /// A file of the tree.
    pub fn file(&self, path: &str) -> Utf8PathBuf {
        self.root.join(path)
    }
}

/// Cargo's target folder, seen from the running program, which lies in it.
pub fn target() -> Result<Utf8PathBuf> {
    let running = files::utf8(std::env::current_exe().context("cannot find the running program")?)?;
    let place = running
        .ancestors()
        .skip(1)
        .find(|folder| !folder.ends_with("deps"));
    let target = place.and_then(Utf8Path::parent);
    Ok(target
        .context("the bench does not lie in a target folder")?
        .to_owned())
}

/// Set by somebody who tries programs before they are in an image: the folder they lie in.
const PROGRAMS: &str = "SLAPBOX_QA_PROGRAMS";

/// Whether somebody does.
pub(crate) fn has_other_programs() -> bool {
    std::env::var_os(PROGRAMS).is_some()
}

/// A program as it lies in the image: what is tested is what is shipped.
pub fn program(name: &str) -> Result<Utf8PathBuf> {
    let folder = match std::env::var(PROGRAMS) {
        Ok(folder) => Utf8PathBuf::from(folder),
        Err(_) => target()?.join("image/cargo/release"),
    };
    let path = folder.join(name);
    if !path.exists() {
        bail!("{path} is not there: `cargo image build` makes it");
    }
    Ok(path)
}

/// A disk with Debian's packages alone.
pub fn stock_debian() -> Result<Utf8PathBuf> {
    let image = target()?.join("image/debian/debian.raw");
    if !image.exists() {
        bail!("{image} is not there: `cargo image debian` makes it");
    }
    Ok(image)
}

/// The Debian package, of which there is one at a time.
pub fn package() -> Result<Utf8PathBuf> {
    let folder = target()?.join("image/package");
    let listed = folder.read_dir_utf8().ok().into_iter().flatten().flatten();
    let mut packages = listed.filter(|it| it.path().extension() == Some("deb"));
    match packages.next() {
        Some(package) => Ok(package.into_path()),
        None => bail!("{folder} has no package: `cargo image package` makes it"),
    }
}

/// The folder of the workspace.
pub fn workspace() -> Result<Utf8PathBuf> {
    let folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(folder
        .parent()
        .context("qa does not lie in the workspace")?
        .to_owned())
}
