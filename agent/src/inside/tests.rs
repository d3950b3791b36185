//! A partition that does its worst.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use camino::Utf8PathBuf;
use nix::unistd::mkfifo;

use super::*;

fn partition() -> (tempfile::TempDir, Utf8PathBuf, Inside) {
    let keep = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(keep.path().join("slappart0")).unwrap();
    fs::create_dir(&path).unwrap();
    put(&keep.path().join("secret"), "of root");
    let inside = Inside::open(&path).unwrap();
    (keep, path, inside)
}

fn put(path: &Path, text: &str) {
    let mut file = File::create(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn own() -> Ownership {
    Ownership {
        uid: Uid::current().as_raw(),
        gid: Gid::current().as_raw(),
        mode: 0o640,
    }
}

#[test]
fn a_link_is_never_followed() {
    let (keep, path, inside) = partition();
    symlink(keep.path().join("secret"), path.join("file")).unwrap();
    symlink(keep.path(), path.join("folder")).unwrap();
    symlink("..", path.join("up")).unwrap();
    for name in ["file", "folder/secret", "up/secret", "../secret"] {
        assert!(inside.read(name, 100).is_err(), "{name}");
        assert!(inside.replace(&format!("{name}/x"), b"x", own()).is_err());
    }
    assert!(inside.list("folder").is_err());
    assert!(inside.folder("folder/new", own()).is_err());
    inside.replace("file", b"mine", own()).unwrap();
    assert_eq!(inside.read("file", 100).unwrap().unwrap(), b"mine");
    let secret = fs::read_to_string(keep.path().join("secret")).unwrap();
    assert_eq!(secret, "of root");
}

#[test]
fn a_temporary_name_that_is_a_link_is_no_trap() {
    let (keep, path, inside) = partition();
    symlink(keep.path().join("secret"), path.join(".x.slapbox-new")).unwrap();
    inside.replace("x", b"mine", own()).unwrap();
    let secret = fs::read_to_string(keep.path().join("secret")).unwrap();
    assert_eq!(secret, "of root");
}

#[test]
fn a_pipe_or_a_long_file_is_an_error_and_nothing_waits() {
    let (_keep, path, inside) = partition();
    mkfifo(path.join("pipe").as_std_path(), Mode::S_IRWXU).unwrap();
    assert!(inside.read("pipe", 100).is_err());
    put(path.join("long").as_std_path(), "12345");
    assert!(inside.read("long", 4).is_err());
    assert_eq!(inside.read("long", 5).unwrap().unwrap(), b"12345");
    assert_eq!(inside.read("none", 5).unwrap(), None);
    assert_eq!(inside.read("none/none", 5).unwrap(), None);
}

#[test]
fn a_mark_tells_a_file_from_one_that_took_its_place() {
    let (_keep, path, inside) = partition();
    put(path.join("file").as_std_path(), "one");
    let (content, mark) = inside.read_marked("file", 10).unwrap().unwrap();
    assert_eq!(content, b"one");
    assert_eq!(inside.mark("file").unwrap(), Some(mark));
    fs::rename(path.join("file"), path.join("older")).unwrap();
    put(path.join("file").as_std_path(), "two");
    assert_ne!(inside.mark("file").unwrap(), Some(mark));
    assert_eq!(inside.mark("older").unwrap(), Some(mark));
    symlink("older", path.join("link")).unwrap();
    assert_ne!(inside.mark("link").unwrap(), Some(mark));
    assert_eq!(inside.mark("none/none").unwrap(), None);
    assert_eq!(inside.read_marked("none", 10).unwrap(), None);
    assert!(inside.read_marked("older", 2).is_err());
}

#[test]
fn a_listing_is_in_order_and_bounded() {
    let (_keep, path, inside) = partition();
    assert_eq!(inside.list("etc/run").unwrap(), []);
    fs::create_dir_all(path.join("etc/run/sub")).unwrap();
    put(path.join("etc/run/b").as_std_path(), "");
    symlink("/bin/true", path.join("etc/run/a")).unwrap();
    let expected = [("a", Kind::Link), ("b", Kind::File), ("sub", Kind::Folder)];
    let expected = expected.map(|(name, kind)| (name.to_owned(), kind));
    assert_eq!(inside.list("etc/run").unwrap(), expected);
    assert_eq!(inside.read_link("etc/run", "a").unwrap(), b"/bin/true");
    for number in 0..MOST_ENTRIES {
        put(path.join(format!("etc/run/{number}")).as_std_path(), "");
    }
    assert!(inside.list("etc/run").is_err());
}

#[test]
fn wiping_removes_links_and_what_is_very_deep_and_leaves_what_they_point_at() {
    let (keep, path, inside) = partition();
    symlink(keep.path(), path.join("folder")).unwrap();
    put(path.join(".slapbox-deep-1").as_std_path(), "in the way");
    let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut deep = inside.root.try_clone().unwrap();
    for _ in 0..1500 {
        mkdirat(&deep, "d", Mode::S_IRWXU).unwrap();
        deep = nix::fcntl::openat(&deep, "d", flags, Mode::empty()).unwrap();
    }
    for number in 0..3000 {
        put(path.join(format!("file{number}")).as_std_path(), "");
    }
    inside.wipe().unwrap();
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    assert!(keep.path().join("secret").exists());
}

#[test]
fn the_directory_itself_is_given_back() {
    let (_keep, _path, inside) = partition();
    let wanted = Ownership {
        mode: 0o750,
        ..own()
    };
    inside.own(wanted).unwrap();
    assert!(!inside.own(wanted).unwrap());
    assert_eq!(inside.ownership().unwrap(), wanted);
}

#[test]
fn a_folder_begins_as_another_one_and_then_stays() {
    let (keep, path, inside) = partition();
    let image = keep.path().join("image");
    fs::create_dir_all(image.join("below/deep")).unwrap();
    put(&image.join("below/file"), "1");
    symlink("/etc/shadow", image.join("link")).unwrap();
    mkfifo(&image.join("pipe"), Mode::S_IRUSR).unwrap();
    fs::set_permissions(image.join("below"), fs::Permissions::from_mode(0o1770)).unwrap();
    let from = || OwnedFd::from(File::open(&image).unwrap());
    let asked = std::cell::Cell::new(0);
    let owner = |ids| {
        asked.set(asked.get() + 1);
        ids
    };
    // Somebody left half of one.
    fs::create_dir_all(path.join(".slapbox-unfinished/below")).unwrap();
    inside.seed("volume", &from(), owner).unwrap();
    let below = path.join("volume/below");
    assert_eq!(fs::read_to_string(below.join("file")).unwrap(), "1");
    assert_eq!(
        below.metadata().unwrap().permissions().mode() & 0o7777,
        0o1770
    );
    let link = fs::read_link(path.join("volume/link")).unwrap();
    assert_eq!(link, Path::new("/etc/shadow"));
    assert!(!path.join("volume/pipe").exists());
    // The folder itself, two below it, a file and a link.
    assert_eq!(asked.get(), 5);

    put(below.join("file").as_std_path(), "2");
    inside.seed("volume", &from(), owner).unwrap();
    assert_eq!(fs::read_to_string(below.join("file")).unwrap(), "2");
    assert!(!path.join(".slapbox-unfinished").exists());
}

#[test]
fn a_folder_does_not_begin_where_a_link_leads() {
    let (keep, path, inside) = partition();
    symlink(keep.path(), path.join("volumes")).unwrap();
    symlink(keep.path(), path.join("volume")).unwrap();
    let from = OwnedFd::from(File::open(keep.path()).unwrap());
    for name in ["volumes/new", "volume"] {
        assert!(inside.seed(name, &from, |ids| ids).is_err(), "{name}");
    }
    assert!(!keep.path().join("new").exists());
}

#[test]
fn a_folder_too_deep_to_be_copied_is_refused_and_left_out() {
    let (keep, path, inside) = partition();
    let image = keep.path().join("image");
    fs::create_dir_all(image.join("a/".repeat(200))).unwrap();
    let from = OwnedFd::from(File::open(&image).unwrap());
    let error = inside.seed("volume", &from, |ids| ids).unwrap_err();
    assert_eq!(error.to_string(), "its folders are too deep");
    assert!(!path.join("volume").exists());
}
