//! mkosi as Debian trixie packages it, unpacked into the cache and run by the host's Python.

use std::process::Command;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::apt::Apt;
use crate::progress::Step;
use crate::{disk, exec, host};

/// An unpacked mkosi.
#[derive(Debug, Clone)]
pub(crate) struct Mkosi {
    folder: Utf8PathBuf,
}

impl Mkosi {
    /// Returns the mkosi in this folder, if it is complete.
    pub(crate) fn cached(folder: &Utf8Path) -> Option<Self> {
        let mkosi = Self {
            folder: folder.to_owned(),
        };
        mkosi
            .modules()
            .join("mkosi/__main__.py")
            .is_file()
            .then_some(mkosi)
    }

    /// Fetches and unpacks it.
    pub(crate) fn fetch(folder: &Utf8Path, apt: &Apt) -> Result<Self> {
        let step = Step::begin("fetching mkosi");
        let deb = apt.download("mkosi")?;
        let fresh = folder.with_extension("new");
        disk::renew(&fresh)?;
        exec::ask(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&fresh))
            .context("cannot unpack mkosi")?;
        disk::remove(folder)?;
        disk::rename(&fresh, folder)?;
        step.done();
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Runs mkosi on a folder of configuration; its own words go to `log`.
    pub(crate) fn build(
        &self,
        config: &Utf8Path,
        profiles: &[&str],
        log: &Utf8Path,
        step: &mut Step,
    ) -> Result<()> {
        let mut command = Command::new(host::python());
        command
            .args([
                "-B",
                "-m",
                "mkosi",
                "--directory",
                config.as_str(),
                "--force",
            ])
            .args(profiles.iter().map(|it| format!("--profile={it}")))
            .arg("build")
            .env("PYTHONPATH", self.modules())
            .env("PYTHONUNBUFFERED", "1")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("TMPDIR")
            .current_dir(config);
        exec::run(&mut command, log, |line| {
            if let Some(doing) = line.strip_prefix('‣') {
                step.at(doing.trim());
            }
        })?;
        Ok(())
    }

    fn modules(&self) -> Utf8PathBuf {
        self.folder.join("usr/lib/python3/dist-packages")
    }
}
