//! Layers that try to write outside the image, or to fill the machine.

use super::*;
use crate::software::budget::Budget;
use crate::software::unpack::Target;

/// A folder to unpack into, beside a secret that nothing may touch.
fn target() -> (tempfile::TempDir, Utf8PathBuf, Target<'static>) {
    let keep = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(keep.path().join("rootfs")).unwrap();
    fs::create_dir(&root).unwrap();
    let mut secret = File::create(keep.path().join("secret")).unwrap();
    secret.write_all(b"of root").unwrap();
    let target = Target::open(&root).unwrap();
    (keep, root, target)
}

fn plenty() -> Budget {
    Budget::new(1 << 30, 1000)
}

fn add(entries: &[Put]) -> (tempfile::TempDir, Utf8PathBuf, Result<(), UnpackError>) {
    let (keep, root, target) = target();
    let result = target.add(tar_of(entries).as_slice(), &mut plenty());
    let secret = fs::read_to_string(keep.path().join("secret")).unwrap();
    assert_eq!(secret, "of root");
    assert_eq!(fs::metadata(keep.path().join("secret")).unwrap().nlink(), 1);
    assert_eq!(fs::read_dir(keep.path()).unwrap().count(), 2);
    (keep, root, result)
}

#[test]
fn a_path_with_dots_is_refused() {
    for path in ["../evil", "a/../../evil", "..", "/../evil", "a/.."] {
        let (_keep, _root, result) = add(&[file(path, "x")]);
        let words = in_one_line(&result.unwrap_err());
        assert_eq!(
            words,
            format!("the layer has a path that leaves the image: `{path}`")
        );
    }
}

#[test]
fn an_absolute_path_is_one_of_the_image() {
    let (_keep, root, result) = add(&[file("/etc/passwd", "x"), file("//a//./b", "y")]);
    result.unwrap();
    assert_eq!(fs::read_to_string(root.join("etc/passwd")).unwrap(), "x");
    assert_eq!(fs::read_to_string(root.join("a/b")).unwrap(), "y");
}

#[test]
fn a_link_to_the_outside_leads_to_the_inside() {
    for outside in ["..", "../..", "/", "/../.."] {
        let (_keep, root, result) = add(&[
            link(EntryType::Symlink, "out", outside),
            file("out/secret", "evil"),
        ]);
        result.unwrap();
        assert_eq!(fs::read_to_string(root.join("secret")).unwrap(), "evil");
    }
}

#[test]
fn a_file_written_over_a_link_replaces_the_link() {
    let (_keep, root, result) = add(&[
        link(EntryType::Symlink, "file", "../secret"),
        file("file", "evil"),
    ]);
    result.unwrap();
    assert!(root.join("file").symlink_metadata().unwrap().is_file());
}

#[test]
fn links_in_a_circle_end_in_an_error() {
    let (_keep, _root, result) = add(&[
        link(EntryType::Symlink, "a", "b"),
        link(EntryType::Symlink, "b", "a"),
        file("a/x", "x"),
    ]);
    let words = in_one_line(&result.unwrap_err());
    assert!(
        words.starts_with("failed to make `a/x` of the image: "),
        "{words}"
    );
}

#[test]
fn a_hard_link_reaches_nothing_outside() {
    for outside in [
        "../secret",
        "/../secret",
        "/proc/1/root/secret",
        "folder",
        "none",
    ] {
        let (_keep, root, result) =
            add(&[folder("folder"), link(EntryType::Link, "mine", outside)]);
        assert!(result.is_err(), "{outside}");
        assert!(root.join("mine").symlink_metadata().is_err());
    }
    let through = [
        link(EntryType::Symlink, "out", ".."),
        link(EntryType::Link, "mine", "out/secret"),
    ];
    let (_keep, _root, result) = add(&through);
    let words = in_one_line(&result.unwrap_err());
    assert_eq!(
        words,
        "the layer has a hard link `mine` to `out/secret`, which the image does not have"
    );
}

#[test]
fn devices_and_pipes_are_not_made() {
    let kinds = [EntryType::Char, EntryType::Block, EntryType::Fifo];
    for kind in kinds {
        let (_keep, root, result) = add(&[link(kind, "dev/sda", ""), file("a", "1")]);
        result.unwrap();
        assert!(!root.join("dev/sda").exists());
        assert!(root.join("a").exists());
    }
}

#[test]
fn a_whiteout_removes_nothing_outside() {
    let (keep, root, target) = target();
    let lower = [link(EntryType::Symlink, "out", "..")];
    target
        .add(tar_of(&lower).as_slice(), &mut plenty())
        .unwrap();
    for path in [
        "out/.wh.secret",
        "out/.wh..wh..opq",
        ".wh...",
        ".wh..",
        "out/.wh.",
    ] {
        let _ = target.subtract(tar_of(&[file(path, "")]).as_slice());
        assert!(keep.path().join("secret").exists(), "{path}");
        assert!(root.exists(), "{path}");
    }
}

#[test]
fn a_bomb_is_stopped_by_the_budget() {
    let (_keep, root, target) = target();
    let zeros = "\0".repeat(64 * 1024 * 1024);
    let bomb = gzip(&tar_of(&[file("bomb", &zeros)]));
    assert!(bomb.len() < 1024 * 1024);
    let result = target.add(bomb.as_slice(), &mut Budget::new(1024 * 1024, 10));
    let words = in_one_line(&result.unwrap_err());
    assert_eq!(
        words,
        "failed to make `bomb` of the image: there is not enough space on the disk for it"
    );
    assert!(fs::metadata(root.join("bomb")).unwrap().len() <= 1024 * 1024);
}

#[test]
fn very_many_files_are_stopped_by_the_budget() {
    let (_keep, _root, target) = target();
    let many: Vec<_> = (0..20)
        .map(|number| file(&format!("f{number}"), ""))
        .collect();
    let result = target.add(tar_of(&many).as_slice(), &mut Budget::new(1024, 10));
    let words = in_one_line(&result.unwrap_err());
    assert_eq!(
        words,
        "failed to make `f10` of the image: it has more files than the disk has room for"
    );
}

#[test]
fn a_name_that_claims_gigabytes_is_refused_before_memory_is_taken() {
    for kind in [EntryType::GNULongName, EntryType::XHeader] {
        let mut archive = tar_of(&[link(kind, "x", "")]);
        let mut header = Header::new_ustar();
        header.as_mut_bytes().copy_from_slice(&archive[..512]);
        header.set_size(8 << 30);
        header.set_cksum();
        archive[..512].copy_from_slice(header.as_bytes());
        let (_keep, _root, target) = target();
        let result = target.add(archive.as_slice(), &mut plenty());
        let words = in_one_line(&result.unwrap_err());
        assert_eq!(
            words,
            "failed to read the layer: a name or attributes of 8589934592 bytes"
        );
    }
}

#[test]
fn a_layer_that_ends_in_the_middle_is_an_error() {
    let whole = tar_of(&[file("a", &"x".repeat(2000))]);
    for length in [100, 600, 2000] {
        let (_keep, _root, target) = target();
        assert!(target.add(&whole[..length], &mut plenty()).is_err());
    }
}

#[test]
fn a_zstd_frame_that_wants_too_much_memory_is_refused() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.long_distance_matching(true).unwrap();
    encoder
        .write_all(&tar_of(&[file("a", &"x".repeat(1 << 20))]))
        .unwrap();
    let frame = encoder.finish().unwrap();
    let (_keep, _root, target) = target();
    assert!(target.add(frame.as_slice(), &mut plenty()).is_err());
}

#[test]
fn long_and_foreign_names_are_kept() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(150));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    header.set_cksum();
    builder
        .append_data(&mut header, &long, b"x".as_slice())
        .unwrap();
    builder
        .append_pax_extensions([
            ("path", "p\u{e4}x".as_bytes()),
            ("linkpath", b"".as_slice()),
        ])
        .unwrap();
    let mut header = Header::new_ustar();
    header.set_path("short").unwrap();
    header.set_mode(0o644);
    header.set_size(1);
    header.set_cksum();
    builder.append(&header, b"y".as_slice()).unwrap();
    let (_keep, root, target) = target();
    let layer = builder.into_inner().unwrap();
    target.add(layer.as_slice(), &mut plenty()).unwrap();
    assert_eq!(fs::read_to_string(root.join(&long)).unwrap(), "x");
    assert_eq!(fs::read_to_string(root.join("p\u{e4}x")).unwrap(), "y");
}
