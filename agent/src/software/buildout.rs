//! The engine that builds a release with buildout, as the original's node does. It works in a builder: the root of an OCI image with
//! compilers, Python and a `buildout`, where it sees its own folder and the network, and nothing of the node.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::statvfs::statvfs;
use time::OffsetDateTime;
use time::macros::format_description;

use super::cache::Cache;
use super::{
    COMPLETED, Makes, Release, ReleaseId, Runs, SoftwareError, blocking, directory, disk_error,
    is_installed, oci, periodicity, remove_all, shared, sync,
};
use crate::causes::in_one_line;
use crate::desired::SoftwareUrl;
use crate::disk;
use crate::inside::Inside;
use crate::instances::confinement::{self, CONFIGURATION_SLICE, Site};
use crate::partitions::users::{self, Ids, SOFTWARE_USER, UsersError};
use crate::systemd::{Systemd, SystemdError, property};
use crate::workload::{Clock, Fetcher};

/// What builds are done with.
#[derive(Clone, Debug)]
pub struct Workshop {
    pub systemd: Systemd,
    /// `/etc`: where users are listed.
    pub etc: Utf8PathBuf,
    /// `/srv/slapgrid`: the partitions' directories.
    pub instances: Utf8PathBuf,
    /// `/run/slapbox`, which is emptied at each boot.
    pub run: Utf8PathBuf,
    /// The OCI image to build in, if this box has one.
    pub builder: Option<SoftwareUrl>,
    /// A proxy for what a build downloads.
    pub proxy: Option<String>,
    pub clock: Clock,
    pub cache: Cache,
}

/// Why a release could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(
        "this box has no builder: write `builder = \"https://…/builder.oci.tar.zst\"` in its configuration"
    )]
    NoBuilder,
    #[error("failed to find the user of software")]
    Users(#[source] UsersError),
    #[error("there is no user `{SOFTWARE_USER}`")]
    NoUser,
    #[error("the disk has {free} MB free, and a build needs {NEEDED_MB} MB")]
    NoRoom { free: u64 },
    #[error(
        "failed to fetch the builder, in which software is built: a master publishes one as `builder.oci.tar`, or the configuration names one (`builder = …`)"
    )]
    Builder(#[source] Box<SoftwareError>),
    #[error("failed to end the build of an agent before this one")]
    Leftover(#[source] SystemdError),
    #[error("failed to run the build")]
    Run(#[source] SystemdError),
    #[error("{step} failed ({result}): {output}")]
    Failed {
        step: &'static str,
        result: String,
        output: String,
    },
    #[error("failed to read which builder it was built in")]
    UnknownBuilder,
}

/// As the original's node asks for before it builds.
const NEEDED_MB: u64 = 1000;
/// Some releases bring everything down to the C library's neighbours.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// The builder's own buildout, which gives the release its own.
const BUILDOUT: &str = "/usr/bin/buildout";
/// Compiles all modules of a release, by the Python that its buildout is of. Instances, who may not write here, would do so in memory
/// each time they are made, which takes longer than all the rest.
const COMPILE: &str = "exec $(sed -n '1s/^#! *//p' bin/buildout) -m compileall -qq .";
/// What the profile extends, as it was when it was first downloaded.
const CACHE: &str = "extends-cache";
/// As much of a script as is read for what runs it.
const LONGEST_LINE: u64 = 4096;
/// The units of all builds.
const UNITS: &str = "slapsoftware-*.service";
/// Names the builder that a release was built in, and runs in.
pub(super) const BUILDER: &str = ".builder";

/// Returns the URL of the builder that a release was built in.
pub(super) fn builder_of(
    software: &Utf8Path,
    url: &SoftwareUrl,
) -> Result<SoftwareUrl, SoftwareError> {
    noted_builder(&directory(software, url))
}

/// The same, of what is in a folder.
pub(crate) fn noted_builder(folder: &Utf8Path) -> Result<SoftwareUrl, SoftwareError> {
    let builder = disk::read_text(&folder.join(BUILDER)).ok().flatten();
    let builder = builder.ok_or(SoftwareError::Build(BuildError::UnknownBuilder))?;
    Ok(SoftwareUrl::new(builder.trim()))
}

/// Reads what a built release is.
pub(super) fn read(software: &Utf8Path, folder: &Utf8Path) -> Result<Release, SoftwareError> {
    let builder = directory(software, &noted_builder(folder)?);
    Ok(Release {
        rootfs: oci::read(&builder)?.rootfs,
        runs: Runs::default(),
        makes: Makes::Buildout(folder.to_owned()),
        periodicity: periodicity(folder),
    })
}

/// Returns the Python that a release was built with: its buildout names it in its first line.
pub(super) fn python(folder: &Utf8Path) -> Option<String> {
    let inside = Inside::open(folder).ok()?;
    let start = inside.read_start("bin/buildout", LONGEST_LINE).ok()?;
    python_of(&String::from_utf8_lossy(&start))
}

/// Reads it as the peer does: a path that is too long for the kernel is called by a shell, in the second line.
fn python_of(script: &str) -> Option<String> {
    let mut lines = script.lines();
    let first = lines.next()?.strip_prefix("#!")?;
    let named = first.split_whitespace().next()?;
    if named != "/bin/sh" {
        return Some(named.to_owned());
    }
    let bare = |word: &str| word.trim_matches(['\'', '"']).to_owned();
    let mut words = lines.next()?.split_whitespace().map(bare);
    (words.next()? == "exec").then(|| words.next())?
}

impl Workshop {
    pub(super) fn builder(&self) -> Result<&SoftwareUrl, SoftwareError> {
        let builder = self.builder.as_ref().ok_or(BuildError::NoBuilder);
        builder.map_err(SoftwareError::Build)
    }

    /// Returns whose software is.
    pub(super) fn software_user(&self) -> Result<Ids, SoftwareError> {
        let accounts = users::observe(&self.etc).map_err(BuildError::Users);
        let ids = accounts.and_then(|accounts| accounts.software().ok_or(BuildError::NoUser));
        ids.map_err(SoftwareError::Build)
    }
}

/// Installs the builder, unless it is there.
pub(super) async fn fetch_builder(
    workshop: &Workshop,
    fetcher: &Fetcher,
    software: &Utf8Path,
) -> Result<(), SoftwareError> {
    let builder = workshop.builder()?;
    if is_installed(software, builder) {
        return Ok(());
    }
    let installed = oci::install(fetcher, software, builder).await;
    installed.map_err(|error| SoftwareError::Build(BuildError::Builder(Box::new(error))))
}

/// Of which age what a release is made of may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Newest {
    /// What was there at an earlier attempt will do, the profile included.
    AsBefore,
    /// The newest that there is, the profile included, as the original's node has it with `--force`.
    OfAll,
}

/// Builds a release where it will be, in the builder that is there. What a failed attempt has built stays for the next one.
pub(super) async fn install(
    workshop: &Workshop,
    software: &Utf8Path,
    url: &SoftwareUrl,
    newest: Newest,
) -> Result<(), SoftwareError> {
    let failed = SoftwareError::Build;
    let builder = workshop.builder()?;
    let rootfs = oci::read(&directory(software, builder))?.rootfs;
    let ids = workshop.software_user()?;
    has_room(software)?;
    let folder = directory(software, url);
    prepare(&folder, url, builder, ids)?;
    // One that an agent before us began may be at the very part that this one will want.
    end_all(&workshop.systemd)
        .await
        .map_err(BuildError::Leftover)
        .map_err(failed)?;
    let (place, run) = (software.to_owned(), workshop.run.clone());
    blocking(move || shared::open(&place, &run, ids)).await?;
    let build = Build {
        workshop,
        rootfs: &rootfs,
        folder: &folder,
        shared: &shared::folder(software),
        ids,
        newest,
        unit: unit(url),
    };
    let built = build.run().await;
    let place = software.to_owned();
    if built.is_err() {
        let (instances, is_full) = (workshop.instances.clone(), has_room(software).is_err());
        blocking(move || {
            if is_full {
                make_room(&place, &instances, &folder)
            } else {
                shared::settle(&place, ids, None)
            }
        })
        .await?;
        return built.map_err(failed);
    }
    let now = (workshop.clock)();
    blocking(move || {
        shared::settle(&place, ids, Some(&folder))?;
        complete(&folder, now)
    })
    .await
}

/// What a failed attempt has built stays for the next one, but not where everybody else needs the disk.
fn make_room(
    software: &Utf8Path,
    instances: &Utf8Path,
    folder: &Utf8Path,
) -> Result<(), SoftwareError> {
    remove_all(folder)?;
    let users = shared::Users {
        software,
        instances,
        more: &[],
    };
    shared::prune(users).map(drop)
}

/// Ends all builds.
async fn end_all(systemd: &Systemd) -> Result<(), SystemdError> {
    for unit in systemd.list(&[UNITS]).await? {
        systemd.stop(&unit.name).await?;
    }
    Ok(())
}

/// Says whether something is being built, be it for an agent before us.
pub(super) async fn is_at_work(systemd: &Systemd) -> Result<bool, SystemdError> {
    let units = systemd.list(&[UNITS]).await?;
    Ok(units
        .iter()
        .any(|unit| unit.active_state != "inactive" && unit.active_state != "failed"))
}

/// Returns the name of the unit that builds a release.
pub(super) fn unit(url: &SoftwareUrl) -> String {
    format!("slapsoftware-{}.service", ReleaseId::of(url))
}

/// One release being built.
struct Build<'a> {
    workshop: &'a Workshop,
    rootfs: &'a Utf8Path,
    folder: &'a Utf8Path,
    /// The folder of all shared parts.
    shared: &'a Utf8Path,
    ids: Ids,
    newest: Newest,
    unit: String,
}

impl Build<'_> {
    /// Builds all of it.
    async fn run(&self) -> Result<(), BuildError> {
        let own = self.folder.join("bin/buildout");
        if !own.exists() {
            let bootstrap = self.command(BUILDOUT, &["bootstrap"]);
            self.step("bootstrap", bootstrap).await?;
        }
        let whole = self.command(own.as_str(), &[]);
        self.step("buildout", whole).await?;
        let compile = ["/bin/sh", "-c", COMPILE].map(str::to_owned);
        match self.step("compilation", compile.into()).await {
            // What is no good Python is not needed by a release that was built.
            Err(error @ BuildError::Failed { .. }) => {
                tracing::debug!("{}", in_one_line(&error));
                Ok(())
            }
            compiled => compiled,
        }
    }

    fn command(&self, program: &str, words: &[&str]) -> Vec<String> {
        let folder = self.folder;
        let mut command = vec![
            program.to_owned(),
            // Whoever configures the software's user does not configure the build.
            "-U".to_owned(),
            format!("buildout:extends-cache={folder}/{CACHE}"),
            format!("buildout:directory={folder}"),
        ];
        if self.newest == Newest::AsBefore {
            command.push("-N".to_owned());
        }
        command.extend(["-c".to_owned(), format!("{folder}/buildout.cfg")]);
        command.extend(words.iter().map(|word| (*word).to_owned()));
        command
    }

    async fn step(&self, step: &'static str, command: Vec<String>) -> Result<(), BuildError> {
        let site = Site {
            rootfs: self.rootfs,
            folder: self.folder,
            shared: Some(self.shared),
            ids: self.ids,
            proxy: self.workshop.proxy.as_deref(),
        };
        let mut all = confinement::building(&site, command, LONGEST);
        all.push(property("Slice", CONFIGURATION_SLICE));
        all.push(property(
            "Description",
            format!("Build {} ({step})", self.folder),
        ));
        let systemd = &self.workshop.systemd;
        let ran = systemd.run(&self.unit, &all, LONGEST).await;
        let ran = ran.map_err(BuildError::Run)?;
        if ran.result == "done" {
            return Ok(());
        }
        Err(BuildError::Failed {
            step,
            result: ran.result,
            output: ran.output,
        })
    }
}

fn has_room(software: &Utf8Path) -> Result<(), SoftwareError> {
    let disk = statvfs(software.as_std_path());
    let disk = disk.map_err(|errno| disk_error(software, errno.into()))?;
    let free = disk.blocks_available() * disk.fragment_size() / 1_000_000;
    if free < NEEDED_MB {
        return Err(SoftwareError::Build(BuildError::NoRoom { free }));
    }
    Ok(())
}

/// Makes the release's folder, the software user's, with its profile, and notes the builder.
pub(super) fn prepare(
    folder: &Utf8Path,
    url: &SoftwareUrl,
    builder: &SoftwareUrl,
    ids: Ids,
) -> Result<(), SoftwareError> {
    for folder in [folder, &folder.join(CACHE)] {
        let make = || -> std::io::Result<()> {
            fs::DirBuilder::new().mode(0o755).create(folder)?;
            chown(folder, Some(ids.uid), Some(ids.gid))
        };
        if !folder.exists() {
            make().map_err(|source| disk_error(folder, source))?;
        }
    }
    let profile = folder.join("buildout.cfg");
    let write = |path: &Utf8Path, text: &str| {
        let written = disk::replace(path, text.as_bytes());
        written.map_err(|error| disk_error(path, std::io::Error::other(error)))
    };
    let shared = folder.parent().map(shared::folder).unwrap_or_default();
    write(&profile, &self::profile(url, &shared))?;
    write(&folder.join(BUILDER), builder.as_str())
}

/// Returns the text of a release's `buildout.cfg`, as the peer writes it.
fn profile(url: &SoftwareUrl, shared: &Utf8Path) -> String {
    // A `$` would be the beginning of a reference.
    let url = url.as_str().replace('$', "$$");
    format!("[buildout]\nextends = {url}\nshared-part-list = {shared}\nbuild-time-part-list = \n\n")
}

/// Says that the release is complete, as the peer does: with the date.
pub(super) fn complete(folder: &Utf8Path, now: SystemTime) -> Result<(), SoftwareError> {
    sync(folder)?;
    let path = folder.join(COMPLETED);
    let date = format_description!(
        "[weekday repr:short] [month repr:short] [day padding:space] [hour]:[minute]:[second] [year]"
    );
    let date = OffsetDateTime::from(now).format(&date).unwrap_or_default();
    disk::replace(&path, date.as_bytes())
        .map_err(|error| disk_error(&path, std::io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_extends_what_the_url_names() {
        let profile = |url| profile(&SoftwareUrl::new(url), Utf8Path::new("/s/.shared"));
        assert_eq!(
            profile("https://x/software.cfg"),
            "[buildout]\nextends = https://x/software.cfg\nshared-part-list = /s/.shared\nbuild-time-part-list = \n\n"
        );
        let odd = profile("https://x/${buildout:x}.cfg");
        assert!(
            odd.contains("extends = https://x/$${buildout:x}.cfg\n"),
            "{odd}"
        );
    }

    #[test]
    fn the_python_of_a_release_is_in_the_first_line_of_its_buildout() {
        for (script, python) in [
            ("#!/usr/bin/python3 -S\nimport", Some("/usr/bin/python3")),
            (
                "#!/bin/sh\n'''exec' /a/bin/python3 \"$0\"",
                Some("/a/bin/python3"),
            ),
            (
                "#!/bin/sh\nexec \"/a/bin/python3\" x",
                Some("/a/bin/python3"),
            ),
            ("#!/bin/sh\necho", None),
            ("import", None),
            ("", None),
        ] {
            assert_eq!(python_of(script).as_deref(), python, "{script}");
        }
    }

    #[test]
    fn a_complete_release_says_since_when() {
        let keep = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(keep.path()).unwrap();
        complete(folder, SystemTime::UNIX_EPOCH).unwrap();
        let text = fs::read_to_string(folder.join(COMPLETED)).unwrap();
        assert_eq!(text, "Thu Jan  1 00:00:00 1970");
    }
}
