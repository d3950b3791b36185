//! What the building machine must have: root, room, a few programs; and what to do when it has not.

use std::process::Command;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use nix::unistd::Uid;

use crate::exec;
use crate::progress::Step;

/// Programs that fetching and unpacking mkosi and its tools needs, each with its Debian package.
const PROGRAMS: [(&str, &str); 10] = [
    ("apt-get", "apt"),
    ("dpkg-deb", "dpkg"),
    ("gpgv", "gpgv"),
    ("python3", "python3"),
    ("tar", "tar"),
    ("cp", "coreutils"),
    ("bash", "bash"),
    ("find", "findutils"),
    ("setpriv", "util-linux"),
    ("git", "git"),
];

/// Refuses to go on without the rights, the room and the programs that a build needs.
pub(crate) fn check(target: &Utf8Path, gibibytes: u64) -> Result<()> {
    check_rights(nix::unistd::geteuid())?;
    crate::disk::make(target)?;
    check_room(target, gibibytes)?;
    let mut missing: Vec<&str> = missing().collect();
    if !Utf8Path::new(crate::mirror::KEYRING).is_file() {
        missing.push("debian-archive-keyring");
    }
    if missing.is_empty() {
        Ok(())
    } else {
        install(target, &missing, find("apt-get").as_deref())
    }
}

fn check_rights(user: Uid) -> Result<()> {
    if !user.is_root() {
        bail!(
            "an image is built by root: run it as root, or as `sudo -E env \"PATH=$PATH\" cargo image …`"
        );
    }
    Ok(())
}

fn check_room(target: &Utf8Path, gibibytes: u64) -> Result<()> {
    let found = nix::sys::statvfs::statvfs(target.as_std_path())
        .with_context(|| format!("cannot tell how much room `{target}` has"))?;
    let free = found
        .blocks_available()
        .saturating_mul(found.fragment_size());
    let gib = 1 << 30;
    if free < gibibytes * gib {
        bail!(
            "`{target}` has {:.1} GiB free, the build needs {gibibytes} GiB: make room, or link `target` to a larger disk",
            free as f64 / gib as f64
        );
    }
    Ok(())
}

fn missing() -> impl Iterator<Item = &'static str> {
    PROGRAMS
        .into_iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| package)
}

fn install(target: &Utf8Path, packages: &[&str], apt: Option<&Utf8Path>) -> Result<()> {
    let Some(apt) = apt else {
        bail!("this machine lacks `apt-get`: build on Debian 12 or 13, or in a container of it");
    };
    let mut step = Step::begin(format!(
        "installing {} on this machine",
        packages.join(", ")
    ));
    let log = target.join("host.log");
    let advice = || {
        format!(
            "cannot install what the build needs: run `apt-get update && apt-get install {}`",
            packages.join(" ")
        )
    };
    let run = |args: &[&str], step: &mut Step| {
        let mut command = Command::new(apt);
        command.env("DEBIAN_FRONTEND", "noninteractive").args(args);
        exec::run(&mut command, &log, |line| step.at(line)).with_context(advice)
    };
    run(&["update"], &mut step)?;
    let mut args = vec!["install", "--yes", "--no-install-recommends"];
    args.extend(packages);
    run(&args, &mut step)?;
    step.done();
    Ok(())
}

/// Finds a program as the shell does.
pub(crate) fn find(program: &str) -> Option<Utf8PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path
        .split(':')
        .chain(["/usr/sbin", "/sbin"])
        .map(Utf8Path::new);
    folders
        .map(|folder| folder.join(program))
        .find(|it| it.is_file())
}

/// The Python that mkosi runs with: Debian's own, whatever version managers put before it.
pub(crate) fn python() -> Utf8PathBuf {
    let own = Utf8Path::new("/usr/bin/python3");
    if own.is_file() {
        own.to_owned()
    } else {
        "python3".into()
    }
}

/// Reads a file that a person named.
pub(crate) fn read(path: &Utf8Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read `{path}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> (tempfile::TempDir, Utf8PathBuf) {
        let scratch = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(scratch.path().to_owned()).unwrap();
        (scratch, path)
    }

    #[test]
    fn who_is_not_root_is_told_how_to_be() {
        check_rights(Uid::from_raw(0)).unwrap();
        let refusal = check_rights(Uid::from_raw(1000)).unwrap_err().to_string();
        assert_eq!(
            refusal,
            "an image is built by root: run it as root, or as `sudo -E env \"PATH=$PATH\" cargo image …`"
        );
    }

    #[test]
    fn a_disk_without_room_is_refused_with_what_there_is_and_what_it_takes() {
        let (_scratch, path) = scratch();
        check_room(&path, 0).unwrap();
        let refusal = check_room(&path, 1 << 30).unwrap_err().to_string();
        assert!(refusal.starts_with(&format!("`{path}` has ")), "{refusal}");
        assert!(
            refusal.ends_with(
                " GiB free, the build needs 1073741824 GiB: make room, or link `target` to a larger disk"
            ),
            "{refusal}"
        );
    }

    #[test]
    fn a_machine_without_apt_is_told_what_to_build_on() {
        let (_scratch, path) = scratch();
        let refusal = install(&path, &["gpgv"], None).unwrap_err().to_string();
        assert_eq!(
            refusal,
            "this machine lacks `apt-get`: build on Debian 12 or 13, or in a container of it"
        );
    }

    #[test]
    fn what_apt_cannot_install_is_named_with_the_command_to_run() {
        let (_scratch, path) = scratch();
        let apt = find("false").unwrap();
        let refusal = install(&path, &["gpgv", "git"], Some(&apt)).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "cannot install what the build needs: run `apt-get update && apt-get install gpgv git`"
        );
    }
}
