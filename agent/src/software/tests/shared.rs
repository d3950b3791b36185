//! What releases have in common is on the disk once, and only for as long as one of them is.

use super::*;

/// Installs an archive as a release of `software`.
fn install(software: &Utf8Path, url: &SoftwareUrl, layers: Vec<Vec<u8>>) {
    let building = software.join(".new");
    fs::create_dir(&building).unwrap();
    let archive = building.join("archive");
    let bytes = layout(layers).bytes();
    File::create(&archive).unwrap().write_all(&bytes).unwrap();
    oci::unpack_archive(&archive, &building).unwrap();
    fs::rename(&building, directory(software, url)).unwrap();
}

/// Number, and how many names it has.
fn inode(software: &Utf8Path, url: &SoftwareUrl, path: &str) -> (u64, u64) {
    let path = directory(software, url).join("rootfs").join(path);
    let found = path.symlink_metadata().unwrap();
    (found.ino(), found.nlink())
}

fn library(path: &str, mode: u32) -> Put {
    let content = "library".repeat(1000);
    Put {
        mode,
        ..file(path, &content)
    }
}

#[tokio::test]
async fn a_file_of_several_releases_is_there_once_until_the_last_goes() {
    let keep = tempfile::tempdir().unwrap();
    let software = Utf8Path::from_path(keep.path()).unwrap();
    let [one, two, three] = ["one", "two", "three"].map(SoftwareUrl::new);
    let base = || tar_of(&[library("lib/a", 0o644), file("lib/small", "x")]);
    install(
        software,
        &one,
        vec![base(), tar_of(&[library("lib/again", 0o644)])],
    );
    install(software, &two, vec![gzip(&base())]);
    install(software, &three, vec![tar_of(&[library("lib/a", 0o755)])]);

    // Twice in the first, once in the second, and the name that it is kept under.
    let (first, names) = inode(software, &one, "lib/a");
    assert_eq!(names, 4);
    assert_eq!(inode(software, &one, "lib/again").0, first);
    assert_eq!(inode(software, &two, "lib/a").0, first);
    assert_ne!(inode(software, &three, "lib/a").0, first);
    assert_eq!(inode(software, &two, "lib/small").1, 1);
    for url in [&one, &two] {
        assert!(!directory(software, url).join("fresh").exists());
    }

    remove(software, &ReleaseId::of(&one)).await.unwrap();
    assert_eq!(inode(software, &two, "lib/a"), (first, 2));
    install(software, &one, vec![base()]);
    assert_eq!(inode(software, &one, "lib/a"), (first, 3));
    for url in [&one, &two, &three] {
        remove(software, &ReleaseId::of(url)).await.unwrap();
    }
    assert_eq!(fs::read_dir(software).unwrap().count(), 0);
}

#[test]
fn what_a_higher_layer_replaced_is_not_what_its_name_says() {
    let keep = tempfile::tempdir().unwrap();
    let software = Utf8Path::from_path(keep.path()).unwrap();
    let [one, two] = ["one", "two"].map(SoftwareUrl::new);
    let outside = software.join("outside");
    let mut secret = File::create(&outside).unwrap();
    secret.write_all("library".repeat(1000).as_bytes()).unwrap();
    let replaced = tar_of(&[
        file("lib/.wh.a", ""),
        link(EntryType::Symlink, "lib/a", outside.as_str()),
        file("lib/b", &"another".repeat(1000)),
    ]);
    let base = tar_of(&[library("lib/a", 0o644), library("lib/b", 0o644)]);
    install(software, &one, vec![base, replaced]);
    install(software, &two, vec![tar_of(&[library("lib/a", 0o644)])]);
    let path = directory(software, &two).join("rootfs/lib/a");
    assert!(path.symlink_metadata().unwrap().is_file());
    assert_eq!(fs::read_to_string(path).unwrap(), "library".repeat(1000));
    assert_eq!(outside.metadata().unwrap().nlink(), 1);
    let again = directory(software, &one).join("rootfs/lib/b");
    assert_eq!(fs::read_to_string(again).unwrap(), "another".repeat(1000));
}
