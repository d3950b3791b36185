//! The peer that this project re-implements, to be tested against: `slapos.core` from the Python registry, in a folder of the bench's own.
//! It needs a Python newer than some hosts have: that of the tools tree, run from there.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::files::{empty_folder, put};
use crate::host::Host;
use crate::product;
use crate::run::run;

const REQUIREMENTS: &str = include_str!("../../master/tests/peer/requirements.txt");

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
        peer.write_python(&tree)?;
        let list = peer.folder.join("installed.txt");
        if std::fs::read_to_string(&list).is_ok_and(|it| it == REQUIREMENTS) {
            return Ok(peer);
        }
        peer.install(host).await?;
        put(&list, REQUIREMENTS)?;
        Ok(peer)
    }

    /// Returns the Python that finds the peer.
    pub fn python(&self) -> Utf8PathBuf {
        self.folder.join("python")
    }

    fn site(&self) -> Utf8PathBuf {
        self.folder.join("site")
    }

    /// The interpreter is started by its own loader with its own libraries; what it takes for its name is this script, so that
    /// whatever it starts in turn is started the same way.
    fn write_python(&self, tree: &Utf8Path) -> Result<()> {
        let libraries = tree.join("usr/lib/x86_64-linux-gnu");
        let (python, site) = (self.python(), self.site());
        let script = format!(
            "#!/bin/sh\n\
             export PYTHONHOME='{tree}/usr' PYTHONPATH=\"${{PYTHONPATH:+$PYTHONPATH:}}{site}\"\n\
             exec '{libraries}/ld-linux-x86-64.so.2' --library-path '{libraries}' \\\n\
             \x20   --argv0 '{python}' '{tree}/usr/bin/python3' \"$@\"\n"
        );
        put(&python, &script)?;
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755))
            .with_context(|| format!("cannot make {python} a program"))
    }

    /// What was there of another list goes: pip would mix them.
    async fn install(&self, host: &Host) -> Result<()> {
        let (fresh, site) = (self.folder.join("fresh"), self.site());
        for folder in [&fresh, &site] {
            empty_folder(folder)?;
        }
        let list = self.folder.join("requirements.txt");
        put(&list, REQUIREMENTS)?;
        let mut install = Command::new(self.python());
        install
            .args([
                "-m",
                "pip",
                "install",
                "--no-deps",
                "--root-user-action",
                "ignore",
            ])
            .args(["--target", fresh.as_str(), "--requirement", list.as_str()]);
        run("install slapos.core", &install, &host.logs).await?;
        std::fs::rename(&fresh, &site).with_context(|| format!("cannot rename {fresh}"))
    }
}
