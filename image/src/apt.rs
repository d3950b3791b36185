//! The host's apt with a configuration of its own: Debian trixie's packages, the host's keys, nothing installed.

use std::process::Command;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use crate::mirror::Mirrors;
use crate::progress::Step;
use crate::{disk, exec};

/// A private apt in a folder.
#[derive(Debug)]
pub(crate) struct Apt {
    folder: Utf8PathBuf,
}

impl Apt {
    /// Prepares the folder and fetches the lists of packages.
    pub(crate) fn open(folder: &Utf8Path, mirrors: &Mirrors) -> Result<Self> {
        disk::replace(
            &folder.join("debian.sources"),
            mirrors.sources()?.to_string().as_bytes(),
        )?;
        disk::make(&folder.join("lists/partial"))?;
        disk::make(&folder.join("cache/archives/partial"))?;
        let apt = Self {
            folder: folder.to_owned(),
        };
        let mut step = Step::begin(format!("reading the package lists of {}", mirrors.archive));
        exec::run(
            apt.command().arg("update"),
            &folder.join("update.log"),
            |line| step.at(line),
        )
        .with_context(|| unusable(mirrors))?;
        step.done();
        Ok(apt)
    }

    /// Downloads the newest version of a package and returns the file.
    pub(crate) fn download(&self, package: &str) -> Result<Utf8PathBuf> {
        let folder = self.folder.join("debs");
        disk::renew(&folder)?;
        let mut command = self.command();
        command.args(["download", package]).current_dir(&folder);
        exec::run(&mut command, &self.folder.join("download.log"), |_| {})
            .with_context(|| format!("cannot download the package `{package}`"))?;
        match disk::files(&folder)?.as_slice() {
            [deb] => Ok(folder.join(deb)),
            _ => bail!(
                "cannot download the package `{package}`: apt said it did, but `{folder}` has no file"
            ),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("apt-get");
        let here = &self.folder;
        for option in [
            format!("Dir::Etc::SourceList={here}/debian.sources"),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            "Dir::Etc::Preferences=/dev/null".to_owned(),
            "Dir::Etc::PreferencesParts=/dev/null".to_owned(),
            format!("Dir::State::Lists={here}/lists"),
            "Dir::State::Status=/dev/null".to_owned(),
            format!("Dir::Cache={here}/cache"),
            "APT::Architecture=amd64".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
            "APT::Update::Error-Mode=any".to_owned(),
            "APT::Update::Post-Invoke-Success::=true".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::Retries=2".to_owned(),
            "Acquire::http::Timeout=30".to_owned(),
            "Acquire::https::Timeout=30".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command.args(["--quiet", "--yes"]);
        command
    }
}

fn unusable(mirrors: &Mirrors) -> String {
    format!(
        "mirror `{}` or `{}` is not usable: check the address and the network, give another with `--mirror URL`, and \
         if a key is missing run `apt-get install --only-upgrade debian-archive-keyring`",
        mirrors.archive, mirrors.security
    )
}
