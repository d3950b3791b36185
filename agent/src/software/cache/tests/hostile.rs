//! What somebody who is believed could still not do: archives that are signed, and made by an enemy.

use tar::{EntryType, Header};

use super::*;

/// Packs entries as they are given: a builder would refuse what matters here.
fn archive_of(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (path, kind, link) in entries {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o6755);
        header.set_size(0);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
    }
    tar.resize(tar.len() + 1024, 0);
    zstd::encode_all(tar.as_slice(), 3).unwrap()
}

#[tokio::test]
async fn an_archive_fills_its_own_directory_and_no_other() {
    let key = Key::make().unwrap();
    let own = CacheName::of(URL);
    let own = own.as_str();
    let here = |path: &str| format!("{own}/{path}");
    let (beyond, inner, absolute) = (here("../x"), here("x"), format!("/{own}x"));
    let outside = format!("{own}/../../x");
    for (path, kind, link, said) in [
        (beyond.as_str(), EntryType::Regular, "", "leaves the image"),
        (&outside, EntryType::Regular, "", "leaves the image"),
        (
            ".shared/zlib/x",
            EntryType::Regular,
            "",
            "`.shared/zlib/x`, which is nothing that it may have",
        ),
        (
            ".shared",
            EntryType::Symlink,
            "/",
            "`.shared`, which is nothing that it may have",
        ),
        (
            "other/x",
            EntryType::Regular,
            "",
            "`other/x`, which is nothing that it may have",
        ),
        (
            &absolute,
            EntryType::Directory,
            "",
            "which is nothing that it may have",
        ),
        (
            "link",
            EntryType::Symlink,
            "/",
            "`link`, which is nothing that it may have",
        ),
        (
            &inner,
            EntryType::Link,
            "/etc/passwd",
            "which the image does not have",
        ),
        (
            &inner,
            EntryType::Regular,
            "",
            "its archive has no `bin/buildout`",
        ),
    ] {
        let (node, offers) = Node::believing(&key).await;
        let archive = archive_of(&[(path, kind, link)]);
        node.laid(&offers, node.entry(&archive), &archive, &key);
        let (taken, notes) = node.takes().await;
        assert!(!taken && notes[0].contains(said), "{said}: {notes:?}");
        node.has_nothing_but_the_builder();
    }
}

#[tokio::test]
async fn what_an_archive_leads_elsewhere_stays_in_it() {
    let key = Key::make().unwrap();
    let own = CacheName::of(URL);
    let here = |path: &str| format!("{}/{path}", own.as_str());
    let (_keep, elsewhere) = temporary();
    let through = here("way/escaped");
    let archive = archive_of(&[
        (&here("bin/buildout"), EntryType::Regular, ""),
        (&here("device"), EntryType::Char, ""),
        (&here("pipe"), EntryType::Fifo, ""),
        (&here("way"), EntryType::Symlink, elsewhere.as_str()),
        (&through, EntryType::Regular, ""),
    ]);
    let (node, offers) = Node::believing(&key).await;
    node.laid(&offers, node.entry(&archive), &archive, &key);
    let _ = node.takes().await;
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    let release = directory(&node.software, &url());
    for made in ["device", "pipe"] {
        assert!(fs::symlink_metadata(release.join(made)).is_err());
    }
}
