//! What another node built, as an honest one offers it, and as an enemy does.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};
use slap::v1::{CacheEntry, CacheFile, CacheName, CacheSystem, Sha256Hex};
use tar::{EntryType, Header};
use tokio::net::TcpListener;

use super::entry::{EntryError, believed};
use super::offer::{lay, signed};
use super::pack::pack;
use super::*;
use crate::identity::Key;
use crate::software::buildout::Workshop;
use crate::software::tests::served::{fetcher, workshop};
use crate::software::{COMPLETED, directory, is_installed};

const URL: &str = "https://example.com/software.cfg";
const BUILDER: &str = "https://example.com/builder.oci.tar";

fn url() -> SoftwareUrl {
    SoftwareUrl::new(URL)
}

fn put(path: &Utf8Path, content: &str) {
    let folder = path.parent().unwrap();
    fs::create_dir_all(folder).unwrap();
    crate::disk::replace(path, content.as_bytes()).unwrap();
}

fn temporary() -> (tempfile::TempDir, Utf8PathBuf) {
    let keep = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(keep.path().to_owned()).unwrap();
    (keep, path)
}

/// A node that has the builder, and nothing of the release.
struct Node {
    _keep: tempfile::TempDir,
    software: Utf8PathBuf,
    workshop: Workshop,
    system: CacheSystem,
}

impl Node {
    /// One that believes this key, and looks in a folder of its own for what there is.
    async fn believing(key: &Key) -> (Self, Offers) {
        let (keep, folder) = temporary();
        // The place of releases counts: every node has the same one.
        let (software, cache) = (folder.join("software"), folder.join("cache"));
        let builder = SoftwareUrl::new(BUILDER);
        put(&directory(&software, &builder).join("config.json"), "{}");
        put(&directory(&software, &builder).join(COMPLETED), "");
        put(
            &folder.join("etc/passwd"),
            "slapsoft:x:900:900::/:/bin/false\n",
        );
        put(&folder.join("etc/group"), "slapsoft:x:900:slapuser0\n");
        let workshop = Workshop {
            etc: folder.join("etc"),
            builder: Some(builder.clone()),
            cache: Cache {
                url: Some(serve(cache.clone()).await),
                keys: vec![PublicKey::parse(key.public_pem()).unwrap()],
                ..Cache::default()
            },
            ..workshop().await
        };
        let node = Self {
            system: system::of(&software, &builder).unwrap(),
            _keep: keep,
            software,
            workshop,
        };
        let offers = Offers {
            folder: Some(cache),
            ..Offers::default()
        };
        (node, offers)
    }

    /// Takes the release; returns what is said of it.
    async fn takes(&self) -> (bool, Vec<String>) {
        let taken = take(&fetcher(), &self.workshop, &self.software, &url()).await;
        let notes = self.workshop.cache.notes.all();
        (taken, notes.into_iter().map(|(_, words)| words).collect())
    }

    fn has_nothing_but_the_builder(&self) {
        assert!(!is_installed(&self.software, &url()));
        assert_eq!(fs::read_dir(&self.software).unwrap().count(), 1);
    }

    fn entry(&self, archive: &[u8]) -> CacheEntry {
        CacheEntry {
            version: 1,
            url: URL.to_owned(),
            system: self.system.clone(),
            sha256: Sha256Hex::of(Sha256::digest(archive).into()),
            size: archive.len() as u64,
            made_at: 0,
            made_by: "COMP-1".to_owned(),
        }
    }

    /// Lays an archive into the cache's folder, signed.
    fn laid(&self, offers: &Offers, entry: CacheEntry, archive: &[u8], key: &Key) {
        let (_keep, folder) = temporary();
        let path = folder.join("archive");
        crate::disk::replace(&path, archive).unwrap();
        let offered = signed(entry, path, key).unwrap();
        lay(offers, &offered, key.public_pem()).unwrap();
    }
}

/// A static server of a folder, as anybody has it.
async fn serve(folder: Utf8PathBuf) -> String {
    let file = async move |Path(path): Path<String>| {
        let read = fs::read(folder.join(path));
        read.map_err(|_| StatusCode::NOT_FOUND)
    };
    let router = Router::new().route("/cache/{*path}", get(file));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/cache")
}

/// Lays out a release as buildout leaves it.
fn build(software: &Utf8Path) {
    let release = directory(software, &url());
    let chmod = |path: &str, mode| {
        fs::set_permissions(release.join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    put(&release.join("bin/buildout"), "#!/usr/bin/python3\n");
    chmod("bin/buildout", 0o4750);
    put(&release.join("lib/module.py"), "x = 1\n");
    chmod("lib/module.py", 0o640);
    chmod("lib", 0o2750);
    let long = format!("lib/{}/{}", "d".repeat(120), "f".repeat(120));
    put(&release.join(&long), "long");
    fs::hard_link(release.join("lib/module.py"), release.join("lib/same.py")).unwrap();
    symlink("lib/module.py", release.join("link")).unwrap();
    symlink("/etc/passwd", release.join("elsewhere")).unwrap();
    for own in [COMPLETED, ".builder", "buildout.cfg"] {
        put(&release.join(own), "the builder's own");
    }
}

fn packed(software: &Utf8Path) -> Vec<u8> {
    let mut archive = Vec::new();
    pack(software, &directories(&url()), &mut archive).unwrap();
    archive
}

#[tokio::test]
async fn what_one_node_built_another_takes_as_it_was() {
    let key = Key::make().unwrap();
    let (node, offers) = Node::believing(&key).await;
    assert_eq!(node.takes().await, (false, Vec::new()));
    let (_keep, elsewhere) = temporary();
    build(&elsewhere);
    let archive = packed(&elsewhere);
    assert_eq!(packed(&elsewhere), archive, "packed twice, it differs");
    node.laid(&offers, node.entry(&archive), &archive, &key);

    // What an attempt to build it has left gives way.
    put(&directory(&node.software, &url()).join("half"), "built");
    assert_eq!(node.takes().await, (true, Vec::new()));
    let release = directory(&node.software, &url());
    assert!(is_installed(&node.software, &url()) && !release.join("half").exists());
    let text = |path: &str| fs::read_to_string(release.join(path)).unwrap();
    assert_eq!(text("bin/buildout"), "#!/usr/bin/python3\n");
    assert_eq!(text(".builder"), BUILDER);
    assert_eq!(
        text("buildout.cfg"),
        format!("[buildout]\nextends = {URL}\n")
    );
    let long = format!("lib/{}/{}", "d".repeat(120), "f".repeat(120));
    assert_eq!(text(&long), "long");
    let found = |path: &str| fs::symlink_metadata(release.join(path)).unwrap();
    // Nothing is set-user-id, and else nothing is changed.
    for (path, mode) in [
        ("bin/buildout", 0o750),
        ("lib/module.py", 0o640),
        ("lib", 0o750),
    ] {
        assert_eq!(found(path).mode() & 0o7777, mode, "{path}");
    }
    let built = fs::metadata(directory(&elsewhere, &url()).join("lib/module.py")).unwrap();
    assert_eq!(found("lib/module.py").mtime(), built.mtime());
    assert_eq!(found("lib/module.py").ino(), found("lib/same.py").ino());
    assert_eq!(
        fs::read_link(release.join("elsewhere")).unwrap(),
        Utf8Path::new("/etc/passwd")
    );
    if nix::unistd::Uid::effective().is_root() {
        for path in ["bin/buildout", "lib", "link"] {
            assert_eq!((found(path).uid(), found(path).gid()), (900, 900), "{path}");
        }
    }
    // Nothing but the builder, the release and the cache's note of completion is there.
    assert_eq!(fs::read_dir(&node.software).unwrap().count(), 2);
}

#[tokio::test]
async fn what_is_wrong_with_the_cache_is_said_and_nothing_of_it_stays() {
    let (key, other) = (Key::make().unwrap(), Key::make().unwrap());
    let (_keep, elsewhere) = temporary();
    build(&elsewhere);
    let archive = packed(&elsewhere);
    type Spoil = fn(&Node, &mut CacheEntry, &mut Vec<u8>);
    let cases: [(&Key, Spoil, &str); 8] = [
        (
            &other,
            |_, _, _| {},
            "its entry is signed by nobody whose builds this box takes",
        ),
        (
            &key,
            |_, _, archive| archive[100] ^= 1,
            "its archive is another than the one that was signed",
        ),
        (
            &key,
            |_, _, archive| archive.truncate(100),
            "its archive has 100 bytes, and not ",
        ),
        (&key, |_, _, archive| archive.push(0), "bytes, and not "),
        (
            &key,
            |_, entry, _| entry.version = 2,
            "its entry is of version 2, which",
        ),
        (
            &key,
            |_, entry, archive| entry.size = archive.len() as u64 - 1,
            "bytes, and not ",
        ),
        (
            &key,
            |_, entry, _| entry.url = "https://example.com/other.cfg".into(),
            "",
        ),
        (
            &key,
            |_, entry, _| entry.system = "amd64-other".parse().unwrap(),
            "",
        ),
    ];
    for (signer, spoil, said) in cases {
        let (node, offers) = Node::believing(&key).await;
        let (mut entry, mut spoiled) = (node.entry(&archive), archive.clone());
        spoil(&node, &mut entry, &mut spoiled);
        node.laid(&offers, entry, &spoiled, signer);
        let (taken, notes) = node.takes().await;
        assert!(!taken);
        // What is for others is not even found.
        match said {
            "" => assert!(notes.is_empty(), "{notes:?}"),
            said => assert!(notes[0].contains(said), "{said}: {notes:?}"),
        }
        node.has_nothing_but_the_builder();
    }
}

#[tokio::test]
async fn an_answer_for_another_is_not_believed_where_it_is_found() {
    let key = Key::make().unwrap();
    let (node, offers) = Node::believing(&key).await;
    let folder = offers.folder.as_ref().unwrap().join(node.system.as_str());
    let name = CacheName::of(URL);
    let file = |file: CacheFile| folder.join(file.to_string());
    let other = CacheEntry {
        url: "https://example.com/other.cfg".into(),
        ..node.entry(b"")
    };
    let (_keep, empty) = temporary();
    let offered = signed(other, empty, &key).unwrap();
    put(
        &file(CacheFile::Entry(name.clone())),
        std::str::from_utf8(&offered.bytes).unwrap(),
    );
    let (_, notes) = node.takes().await;
    assert!(notes[0].contains("its entry has no signature"), "{notes:?}");
    put(
        &file(CacheFile::Signature(name.clone())),
        &offered.signature,
    );
    let (_, notes) = node.takes().await;
    assert!(
        notes[0].contains("for another release: https://example.com/other.cfg"),
        "{notes:?}"
    );
    put(&file(CacheFile::Entry(name)), &" ".repeat(100_000));
    let (_, notes) = node.takes().await;
    assert!(
        notes[0].contains("it has more than 16384 bytes"),
        "{notes:?}"
    );
    node.has_nothing_but_the_builder();
}

#[test]
fn an_entry_is_believed_only_for_what_was_asked() {
    let key = Key::make().unwrap();
    let keys = [PublicKey::parse(key.public_pem()).unwrap()];
    let system: CacheSystem = "amd64-a".parse().unwrap();
    let check = |bytes: &[u8]| {
        let signature = offer::base64(&key.sign(bytes).unwrap());
        believed(bytes, signature.as_bytes(), &keys, &url(), &system)
    };
    assert!(matches!(check(b"{}"), Err(EntryError::Document(_))));
    let entry = CacheEntry {
        version: 1,
        url: URL.into(),
        system: "amd64-b".parse().unwrap(),
        sha256: Sha256Hex::of([0; 32]),
        size: 0,
        made_at: 0,
        made_by: String::new(),
    };
    let bytes = serde_json::to_vec(&entry).unwrap();
    assert!(matches!(check(&bytes), Err(EntryError::System(_))));
    let refused = believed(&bytes, b"?", &keys, &url(), &entry.system);
    assert!(matches!(refused, Err(EntryError::Stranger)));
}

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

#[tokio::test]
async fn nobody_is_asked_when_nobody_is_believed() {
    let key = Key::make().unwrap();
    let (mut node, _) = Node::believing(&key).await;
    node.workshop.cache.keys.clear();
    node.workshop.cache.url = Some("http://127.0.0.1:1/".to_owned());
    assert_eq!(node.takes().await, (false, Vec::new()));
    // A cache that is away is said, and holds up nobody.
    node.workshop.cache.keys = vec![PublicKey::parse(key.public_pem()).unwrap()];
    let (taken, notes) = node.takes().await;
    assert!(
        !taken && notes[0].contains("failed to ask its server"),
        "{notes:?}"
    );
}
