//! The Debian package: what the image lays over Debian, less what only an image needs, plus what a machine of somebody's
//! own needs instead (`package/`). Nothing in it starts by itself. The same bytes from the same sources.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::Source;
use crate::inputs::Inputs;
use crate::progress::{self, Step};
use crate::revision::Revision;
use crate::tools::Tree;
use crate::workspace::Workspace;
use crate::{binaries, disk, exec, host, tools};

/// What becomes of a file of the image in the package.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    /// It lies elsewhere, where only we read it: the file would change the whole machine from the moment of installation.
    Moved(&'static str),
    /// It would take from a person what is theirs: the screen, the network, the limits of the journal, the choice of units.
    LeftOut,
}

/// Files and folders of the image, the first that fits counts.
const FATES: [(&str, Fate); 17] = [
    ("usr/bin", Fate::Kept),
    (
        "usr/lib/systemd/system/slapbox-agent.service.d/10-screen.conf",
        Fate::LeftOut,
    ),
    ("usr/lib/systemd/system", Fate::Kept),
    ("usr/lib/systemd/network/10-slapbox-own.network", Fate::Kept),
    ("usr/lib/systemd/network/20-wired.network", Fate::LeftOut),
    (
        "usr/lib/systemd/networkd.conf.d/10-slapbox.conf",
        Fate::Kept,
    ),
    ("usr/lib/sysusers.d/slapbox.conf", Fate::Kept),
    ("usr/lib/udev/rules.d/99-taps.rules", Fate::Kept),
    (
        "usr/lib/sysctl.d/50-slapbox.conf",
        Fate::Moved("usr/lib/slapbox/sysctl.conf"),
    ),
    // Loaded by slapbox-network.service.
    ("usr/lib/modules-load.d/slapbox.conf", Fate::LeftOut),
    ("usr/lib/repart.d", Fate::LeftOut),
    ("usr/lib/systemd/journald.conf.d", Fate::LeftOut),
    ("usr/lib/systemd/resolved.conf.d", Fate::LeftOut),
    ("usr/lib/systemd/system.conf.d", Fate::LeftOut),
    ("usr/lib/systemd/system-preset", Fate::LeftOut),
    // The agent makes /srv/slapgrid.
    ("usr/lib/tmpfiles.d/slapbox.conf", Fate::LeftOut),
    ("usr/share/factory", Fate::LeftOut),
];

/// Builds the package, or finds it built already.
pub(crate) fn build(workspace: &Workspace, source: &Source) -> Result<Utf8PathBuf> {
    host::check(&workspace.target(), 2)?;
    let tools = tools::ensure(workspace, source)?;
    let revision = Revision::find(workspace)?;
    let programs = binaries::compile(workspace)?;
    let folder = workspace.target().join("package");
    let deb = folder.join(format!("slapbox_{}_amd64.deb", revision.version));
    let key_file = folder.join("package.key");
    let key = key(workspace, &revision, &programs)?;
    if deb.is_file() && key.matches(&key_file) {
        progress::say("package: nothing changed");
        return Ok(deb);
    }
    let step = Step::begin("packing the Debian package");
    disk::renew(&folder)?;
    let tree = folder.join("tree");
    lay_out(&workspace.sources(), &tree, &programs)?;
    describe(&workspace.sources(), &tree, &revision.version)?;
    date(&tree, revision.epoch)?;
    pack(&tools, &tree, &deb, revision.epoch)?;
    disk::remove(&tree)?;
    step.done();
    key.write(&key_file)?;
    let size = deb
        .metadata()
        .with_context(|| format!("cannot look at `{deb}`"))?
        .len();
    progress::say(&format!(
        "package {}: {:.1} MB",
        revision.version,
        size as f64 / 1e6
    ));
    Ok(deb)
}

fn key(workspace: &Workspace, revision: &Revision, programs: &[Utf8PathBuf]) -> Result<Inputs> {
    let mut key = Inputs::default();
    key.text("version", &revision.version);
    key.text("date", &revision.epoch.to_string());
    key.file("tools", &workspace.tools().join("tree.key"))?;
    for name in ["mkosi.extra", "package"] {
        key.tree(name, &workspace.sources().join(name))?;
    }
    for program in programs {
        key.file(program.file_name().unwrap_or_default(), program)?;
    }
    Ok(key)
}

/// Lays out the files that are installed.
fn lay_out(sources: &Utf8Path, tree: &Utf8Path, programs: &[Utf8PathBuf]) -> Result<()> {
    let image = sources.join("mkosi.extra");
    for file in disk::files(&image)? {
        let target = match fate(&file)? {
            Fate::Kept => file.as_str(),
            Fate::Moved(target) => target,
            Fate::LeftOut => continue,
        };
        put(&image.join(&file), &tree.join(target))?;
    }
    let own = sources.join("package/extra");
    for file in disk::files(&own)? {
        put(&own.join(&file), &tree.join(&file))?;
    }
    for program in programs {
        let name = program.file_name().unwrap_or_default();
        put(program, &tree.join("usr/bin").join(name))?;
    }
    Ok(())
}

fn put(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    disk::make(to.parent().unwrap_or(to))?;
    disk::copy(from, to)
}

fn fate(file: &Utf8Path) -> Result<&'static Fate> {
    let fits = |place: &str| file.starts_with(place);
    match FATES.iter().find(|(place, _)| fits(place)) {
        Some((_, fate)) => Ok(fate),
        None => bail!(
            "`mkosi.extra/{file}` is new: say in `image/src/package.rs` whether the package has it too"
        ),
    }
}

/// Adds what dpkg reads, and the version for the agent.
fn describe(sources: &Utf8Path, tree: &Utf8Path, version: &str) -> Result<()> {
    let told = format!("{version}\n");
    disk::replace(&tree.join("usr/lib/slapbox/version"), told.as_bytes())?;
    let debian = sources.join("package/debian");
    let control = control(&host::read(&debian.join("control"))?, version, tree)?;
    for script in ["postinst", "prerm", "postrm"] {
        put(&debian.join(script), &tree.join("DEBIAN").join(script))?;
    }
    disk::replace(&tree.join("DEBIAN/control"), control.as_bytes())
}

/// Returns the description with what varies.
fn control(plain: &str, version: &str, tree: &Utf8Path) -> Result<String> {
    let mut bytes = 0;
    for file in disk::files(tree)? {
        let path = tree.join(file);
        let found = fs::symlink_metadata(&path);
        bytes += found
            .with_context(|| format!("cannot look at `{path}`"))?
            .len();
    }
    let kibibytes = bytes.div_ceil(1024);
    Ok(format!(
        "{plain}Version: {version}\nInstalled-Size: {kibibytes}\n"
    ))
}

/// Gives everything the date of the sources, and a mode in which whoever built it has left no trace.
fn date(tree: &Utf8Path, epoch: u64) -> Result<()> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(epoch);
    let files = disk::files(tree)?;
    let mut places: Vec<&Utf8Path> = files.iter().flat_map(|it| it.ancestors()).collect();
    places.sort();
    places.dedup();
    for place in places {
        let path = tree.join(place);
        let act = || -> std::io::Result<()> {
            let found = fs::symlink_metadata(&path)?;
            if found.is_symlink() {
                return Ok(());
            }
            let run = found.is_dir() || found.permissions().mode() & 0o100 != 0;
            let mode = if run { 0o755 } else { 0o644 };
            fs::set_permissions(&path, Permissions::from_mode(mode))?;
            File::open(&path)?.set_modified(time)
        };
        act().with_context(|| format!("cannot set the date of `{path}`"))?;
    }
    Ok(())
}

/// Packs the tree as root's, whoever made it; a link is dated by `SOURCE_DATE_EPOCH`.
fn pack(tools: &Tree, tree: &Utf8Path, deb: &Utf8Path, epoch: u64) -> Result<()> {
    let mut command = tools.run("dpkg-deb")?;
    command
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .args(["--root-owner-group", "-Zzstd", "-z15", "--threads-max=1"])
        .args(["--build", tree.as_str(), deb.as_str()]);
    exec::ask(&mut command).context("cannot pack the Debian package")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Utf8PathBuf {
        Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR"))
    }

    fn laid_out() -> (tempfile::TempDir, Utf8PathBuf) {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Utf8PathBuf::from_path_buf(scratch.path().to_owned()).unwrap();
        let program = folder.join("slapbox-agent");
        disk::replace(&program, b"a program").unwrap();
        let tree = folder.join("tree");
        lay_out(&sources(), &tree, &[program]).unwrap();
        describe(&sources(), &tree, "0.1.0-42").unwrap();
        (scratch, tree)
    }

    #[test]
    fn it_has_the_units_and_takes_nothing_of_a_person() {
        let (_scratch, tree) = laid_out();
        let system = tree.join("usr/lib/systemd/system");
        let there = [
            "usr/bin/slapbox-agent",
            "usr/lib/slapbox/sysctl.conf",
            "usr/lib/systemd/system/slapbox-agent.service",
            "usr/lib/systemd/system/slapbox-network.service",
            "usr/lib/sysusers.d/slapbox.conf",
        ];
        for file in there {
            assert!(tree.join(file).is_file(), "{file}");
        }
        assert_eq!(
            tree.join("usr/bin/slapos").read_link_utf8().unwrap(),
            "slapbox"
        );
        assert!(
            !system
                .join("slapbox-agent.service.d/10-screen.conf")
                .exists()
        );
        for folder in [
            "etc",
            "usr/lib/repart.d",
            "usr/lib/sysctl.d",
            "usr/lib/systemd/journald.conf.d",
            "usr/share/factory",
        ] {
            assert!(!tree.join(folder).exists(), "{folder}");
        }
        let preset = tree.join("usr/lib/systemd/system-preset/10-slapbox.preset");
        let preset = std::fs::read_to_string(preset).unwrap();
        let acts = preset.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(acts.collect::<Vec<_>>(), ["disable slapbox-*"]);
    }

    #[test]
    fn its_description_has_the_version_and_the_size() {
        let (_scratch, tree) = laid_out();
        let control = std::fs::read_to_string(tree.join("DEBIAN/control")).unwrap();
        let field = |name: &str| {
            let found = control.lines().find_map(|line| line.strip_prefix(name));
            found
                .unwrap_or_else(|| panic!("{name} in {control}"))
                .trim()
        };
        assert_eq!(field("Version:"), "0.1.0-42");
        assert!(field("Installed-Size:").parse::<u64>().unwrap() > 10);
        assert!(field("Depends:").contains("babeld, "), "{control}");
        let told = std::fs::read_to_string(tree.join("usr/lib/slapbox/version")).unwrap();
        assert_eq!(told, "0.1.0-42\n");
    }

    #[test]
    fn a_new_file_of_the_image_needs_a_decision() {
        let refusal = fate(Utf8Path::new("usr/lib/binfmt.d/new.conf")).unwrap_err();
        assert!(
            refusal
                .to_string()
                .starts_with("`mkosi.extra/usr/lib/binfmt.d/new.conf` is new"),
            "{refusal}"
        );
        let kept = fate(Utf8Path::new(
            "usr/lib/systemd/system/slapbox-other.service",
        ));
        assert_eq!(kept.unwrap(), &Fate::Kept);
    }

    #[test]
    fn everything_has_the_date_of_the_sources() {
        let (_scratch, tree) = laid_out();
        date(&tree, 1_700_000_000).unwrap();
        for place in ["", "DEBIAN/postinst", "usr/lib", "usr/bin/slapbox-agent"] {
            let found = std::fs::metadata(tree.join(place)).unwrap();
            let since = found
                .modified()
                .unwrap()
                .duration_since(SystemTime::UNIX_EPOCH);
            assert_eq!(since.unwrap().as_secs(), 1_700_000_000, "{place}");
        }
        let script = std::fs::metadata(tree.join("DEBIAN/prerm")).unwrap();
        assert_eq!(script.permissions().mode() & 0o777, 0o755);
    }
}
