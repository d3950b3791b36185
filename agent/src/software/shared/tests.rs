//! Shared parts on a disk, as recipes leave them there.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

use super::*;

/// Whoever builds.
const IDS: Ids = Ids {
    uid: 19_999,
    gid: 19_999,
};

struct Place {
    _keep: tempfile::TempDir,
    software: Utf8PathBuf,
    run: Utf8PathBuf,
}

fn digest(digit: char) -> String {
    String::from_iter([digit; 32])
}

fn part(name: &str, digit: char) -> Part {
    Part::new(name, &digest(digit)).unwrap()
}

fn put(path: &Utf8Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    disk::replace(path, text.as_bytes()).unwrap();
}

impl Place {
    fn new() -> Self {
        let keep = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(keep.path()).unwrap();
        let (software, run) = (root.join("software"), root.join("run"));
        for folder in [&software, &run] {
            fs::create_dir(folder).unwrap();
        }
        Self {
            software,
            run,
            _keep: keep,
        }
    }

    fn users<'a>(&'a self, more: &'a [Utf8PathBuf]) -> Users<'a> {
        let (software, instances) = (&self.software, self.software.parent().unwrap());
        Users {
            software,
            instances,
            more,
        }
    }

    fn part(&self, part: &Part) -> Utf8PathBuf {
        folder(&self.software).join(part.to_string())
    }

    /// Builds a part that needs others.
    fn build(&self, part: &Part, needs: &[&Part]) {
        let needs = needs.iter().map(|part| self.part(part).join("lib"));
        let needs: Vec<String> = needs.map(Utf8PathBuf::into_string).collect();
        put(&self.part(part).join(COMPLETE), &needs.join("\n"));
        put(&self.part(part).join("lib/library"), "code");
    }

    /// Builds as the software's user, who leaves what is complete read-only.
    fn give(&self, part: &Part) {
        let path = self.part(part);
        let below = ["", "lib", "lib/library", COMPLETE].map(|name| path.join(name));
        for path in [path.parent().unwrap()]
            .into_iter()
            .chain(below.iter().map(Utf8PathBuf::as_path))
        {
            if path.exists() {
                chown(path, Some(IDS.uid), Some(IDS.gid)).unwrap();
            }
        }
    }

    /// Installs a release that has parts.
    fn release(&self, digit: char, has: &[&Part]) -> Utf8PathBuf {
        let release = self.software.join(digest(digit));
        let lines = has
            .iter()
            .map(|it| format!("location = {}\n", self.part(it)));
        put(&release.join(INSTALLED), &lines.collect::<String>());
        release
    }
}

/// Owners are root's to change.
fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        tracing::warn!("skipped: owners need root");
    }
    is_root
}

#[test]
fn a_release_uses_what_it_names_and_what_that_is_made_of() {
    let place = Place::new();
    let release = place.release('1', &[&part("ssl", 'b')]);
    assert_eq!(used_by(&place.software, &release).unwrap(), BTreeSet::new());
    place.build(&part("zlib", 'a'), &[]);
    place.build(&part("ssl", 'b'), &[&part("zlib", 'a')]);
    place.build(&part("xz", 'c'), &[&part("zlib", 'a')]);
    let both = BTreeSet::from([part("zlib", 'a'), part("ssl", 'b')]);
    assert_eq!(used_by(&place.software, &release).unwrap(), both);
    // A program of it, and a link.
    put(
        &release.join("bin/xz"),
        &format!("exec {}", place.part(&part("xz", 'c'))),
    );
    let all = used_by(&place.software, &release).unwrap();
    assert_eq!(all.len(), 3);
    fs::remove_file(release.join("bin/xz")).unwrap();
    symlink(
        place.part(&part("xz", 'c')).join("bin/xz"),
        release.join("bin/link"),
    )
    .unwrap();
    assert_eq!(used_by(&place.software, &release).unwrap(), all);
}

#[test]
fn what_nobody_uses_goes_and_the_rest_stays() {
    let place = Place::new();
    assert_eq!(prune(place.users(&[])).unwrap(), BTreeSet::new());
    let (zlib, ssl, xz) = (part("zlib", 'a'), part("ssl", 'b'), part("xz", 'c'));
    place.build(&zlib, &[]);
    place.build(&ssl, &[&zlib]);
    place.build(&xz, &[&zlib]);
    // Half of one that a release shall have, and half of one that nobody wants any more.
    let (half, lost) = (part("gcc", 'd'), part("gcc", 'e'));
    for part in [&half, &lost] {
        put(&place.part(part).join(".build/gcc.c"), "code");
    }
    let first = place.release('1', &[&ssl, &half]);
    let elsewhere = Place::new();
    let other = Utf8PathBuf::from_path_buf(elsewhere.software.join(digest('2')).into()).unwrap();
    put(&other.join(INSTALLED), &format!("{}", place.part(&xz)));

    let lost = BTreeSet::from([lost]);
    let more = [elsewhere.software.clone()];
    assert_eq!(unused(place.users(&more)).unwrap(), lost);
    assert_eq!(prune(place.users(&more)).unwrap(), lost);
    assert_eq!(prune(place.users(&more)).unwrap(), BTreeSet::new());
    assert_eq!(
        prune(place.users(&[])).unwrap(),
        BTreeSet::from([xz.clone()])
    );
    assert!(
        !place.part(&xz).parent().unwrap().exists(),
        "an empty folder"
    );
    for part in [&zlib, &ssl, &half] {
        assert!(place.part(part).exists(), "{part}");
    }
    fs::remove_dir_all(first).unwrap();
    let rest = BTreeSet::from([zlib, ssl, half]);
    assert_eq!(prune(place.users(&[])).unwrap(), rest);
    assert!(!folder(&place.software).exists());
}

#[test]
fn a_folder_that_is_not_there_or_misleads_ends_pruning_with_its_name() {
    let place = Place::new();
    place.build(&part("zlib", 'a'), &[]);
    let nowhere = place.software.join("nowhere");
    let error = prune(place.users(std::slice::from_ref(&nowhere))).unwrap_err();
    let said = crate::causes::in_one_line(&error);
    assert!(said.contains(nowhere.as_str()), "{said}");
    let release = place.release('1', &[]);
    symlink("/etc", release.join("bin")).unwrap();
    let error = prune(place.users(&[])).unwrap_err();
    let said = crate::causes::in_one_line(&error);
    assert!(said.contains(release.as_str()), "{said}");
    assert!(place.part(&part("zlib", 'a')).exists());
}

#[test]
fn what_a_build_has_completed_becomes_root_s_and_half_a_part_does_not() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    open(&place.software, &place.run, IDS).unwrap();
    let (whole, half, old) = (part("zlib", 'a'), part("ssl", 'b'), part("old", 'c'));
    place.build(&whole, &[]);
    let program = place.part(&whole).join("lib/library");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4750)).unwrap();
    // One whose recipe has another way to say that it is complete.
    for part in [&half, &old] {
        put(&place.part(part).join("lib/library"), "code");
    }
    for part in [&whole, &half, &old] {
        place.give(part);
    }
    let owner = |path: &Utf8Path| {
        let found = path.symlink_metadata().unwrap();
        (found.uid(), found.gid(), found.mode() & 0o7777)
    };
    settle(&place.software, IDS, None).unwrap();
    let shared = folder(&place.software);
    for folder in [&shared, &shared.join("zlib")] {
        assert_eq!(owner(folder), (0, IDS.gid, 0o1775), "{folder}");
    }
    assert_eq!(owner(&place.part(&whole)).0, 0);
    assert_eq!(owner(&program), (0, IDS.gid, 0o750));
    for part in [&half, &old] {
        assert_eq!(owner(&place.part(part)).0, IDS.uid, "{part}");
    }
    let built = place.release('1', &[&old]);
    settle(&place.software, IDS, Some(&built)).unwrap();
    assert_eq!(owner(&place.part(&old).join("lib/library")).0, 0);
    assert_eq!(owner(&place.part(&half)).0, IDS.uid);
}

#[test]
fn after_a_power_cut_only_what_is_root_s_is_believed() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let (before, during, half) = (part("zlib", 'a'), part("ssl", 'b'), part("xz", 'c'));
    open(&place.software, &place.run, IDS).unwrap();
    place.build(&before, &[]);
    settle(&place.software, IDS, None).unwrap();
    place.build(&during, &[]);
    put(&place.part(&half).join("lib/library"), "code");
    for part in [&during, &half] {
        place.give(part);
    }
    // The agent alone was killed: what it finds is as it was written.
    open(&place.software, &place.run, IDS).unwrap();
    let is_there = |part: &Part| place.part(part).exists();
    assert!([&before, &during, &half].into_iter().all(is_there));

    let late = part("late", 'd');
    place.build(&late, &[]);
    place.give(&late);
    fs::remove_file(place.run.join(LOOKED_AT)).unwrap();
    open(&place.software, &place.run, IDS).unwrap();
    assert!(is_there(&before) && is_there(&during));
    assert!(!is_there(&late) && !is_there(&half));
}

#[test]
fn a_link_among_the_parts_leads_nowhere() {
    if !is_root() {
        return;
    }
    let (place, other) = (Place::new(), Place::new());
    open(&place.software, &place.run, IDS).unwrap();
    let victim = part("zlib", 'a');
    other.build(&victim, &[]);
    other.give(&victim);
    let shared = folder(&place.software);
    symlink(folder(&other.software).join("zlib"), shared.join("zlib")).unwrap();
    fs::create_dir(shared.join("xz")).unwrap();
    symlink(other.part(&victim), shared.join("xz").join(digest('b'))).unwrap();
    settle(&place.software, IDS, None).unwrap();
    assert_eq!(prune(place.users(&[])).unwrap(), BTreeSet::new());
    let found = other.part(&victim).metadata().unwrap();
    assert_eq!(found.uid(), IDS.uid);
}

#[test]
fn what_an_instance_has_built_itself_has_parts_too() {
    let place = Place::new();
    let (zlib, xz) = (part("zlib", 'a'), part("xz", 'b'));
    place.build(&zlib, &[]);
    place.build(&xz, &[]);
    let partition = place.software.parent().unwrap().join("slappart3");
    let nested = partition.join("srv/software");
    let names = |part: &Part| format!("location = {}", place.part(part));
    put(&nested.join("some/.installed.cfg"), &names(&zlib));
    put(&partition.join("elsewhere/.installed.cfg"), &names(&xz));
    let both = BTreeSet::from([zlib.clone(), xz.clone()]);
    assert_eq!(unused(place.users(&[])).unwrap(), both);
    let told = format!("[slapos]\nsoftware_root = {nested}\n");
    put(&partition.join("srv/etc/slapos.cfg"), &told);
    assert_eq!(prune(place.users(&[])).unwrap(), BTreeSet::from([xz]));
    fs::remove_dir_all(&partition).unwrap();
    assert_eq!(prune(place.users(&[])).unwrap(), BTreeSet::from([zlib]));
}
