//! What another node built, as an honest one offers it, and what is wrong with what is found.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};
use slap::v1::{CacheEntry, CacheFile, CacheName, CacheSystem, Sha256Hex};
use tokio::net::TcpListener;

use super::entry::{EntryError, believed};
use super::offer::{lay, signed};
use super::pack::pack;
use super::*;
use crate::identity::Key;
use crate::software::buildout::Workshop;
use crate::software::installer::Installer;
use crate::software::tests::served::{fetcher, workshop};
use crate::software::{COMPLETED, Turns, directory, is_installed};

mod hostile;

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
        fs::create_dir(folder.join("run")).unwrap();
        let workshop = Workshop {
            etc: folder.join("etc"),
            run: folder.join("run"),
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
        let taken = take(
            &fetcher(),
            &self.workshop,
            &Turns::default(),
            &self.software,
            &url(),
        )
        .await;
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
    for own in [COMPLETED, ".builder", ".unoffered", "buildout.cfg"] {
        put(&release.join(own), "the builder's own");
    }
}

fn packed(software: &Utf8Path) -> Vec<u8> {
    let mut archive = Vec::new();
    let directories = directories(software, &url()).unwrap();
    pack(software, &directories, &mut archive).unwrap();
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
    let shared = node.software.join(".shared");
    assert!(text("buildout.cfg").starts_with(&format!(
        "[buildout]\nextends = {URL}\nshared-part-list = {shared}\n"
    )));
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
async fn a_release_brings_the_parts_that_it_shares() {
    // Parts are root's.
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let key = Key::make().unwrap();
    let (node, offers) = Node::believing(&key).await;
    let (_keep, elsewhere) = temporary();
    build(&elsewhere);
    let part = |software: &Utf8Path, digit: &str| {
        let part = software.join(".shared/zlib").join(digit.repeat(32));
        put(&part.join(".buildout-shared.json"), "{}");
        put(&part.join("lib/libz.so"), software.as_str());
        part
    };
    let [named, here, _other] = ["a", "b", "c"].map(|digit| part(&elsewhere, digit));
    let installed = directory(&elsewhere, &url()).join(".installed.cfg");
    put(
        &installed,
        &format!("location = {named}\nlocation = {here}\n"),
    );
    // What is complete here is not altered, what an interrupted build has left is.
    let (half, own) = (part(&node.software, "a"), part(&node.software, "b"));
    std::os::unix::fs::chown(&half, Some(900), Some(900)).unwrap();
    let archive = packed(&elsewhere);
    node.laid(&offers, node.entry(&archive), &archive, &key);
    assert_eq!(node.takes().await, (true, Vec::new()));
    for (part, of) in [(&half, &elsewhere), (&own, &node.software)] {
        let library = part.join("lib/libz.so");
        assert_eq!(&fs::read_to_string(&library).unwrap(), of);
        for path in [part, &library] {
            assert_eq!(fs::metadata(path).unwrap().uid(), 0, "{path}");
        }
    }
    let parts = node.software.join(".shared/zlib");
    let count = fs::read_dir(&parts).unwrap().count();
    assert_eq!(count, 2, "more came than it has");
    let parts = fs::metadata(&parts).unwrap();
    let whose = (parts.uid(), parts.gid(), parts.mode() & 0o7777);
    assert_eq!(whose, (0, 900, 0o1775));
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

/// Waits until something is said of an offer.
async fn said(installer: &Installer) -> String {
    for _ in 0..500 {
        if let Some((_, words)) = installer.notes().pop() {
            return words;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("nothing is said");
}

#[tokio::test]
async fn what_an_agent_before_could_not_offer_is_offered_again_a_few_times() {
    let key = Key::make().unwrap();
    let (mut node, _) = Node::believing(&key).await;
    let (_keep, state) = temporary();
    // To a master of another make.
    node.workshop.cache.offers = Offers {
        to_master: true,
        key: state.join("key"),
        ..Offers::default()
    };
    build(&node.software);
    let changes = tokio::sync::watch::Sender::new(0);
    let installer = |node: &Node| {
        let (workshop, software) = (node.workshop.clone(), node.software.clone());
        Installer::new(fetcher(), workshop, software, changes.clone())
    };
    installer(&node).offer_again(&url());
    let words = said(&installer(&node)).await;
    let wanted = "what was built here is not offered to others: this box has no master that keeps a cache; it is tried again in 1 min";
    assert_eq!(words, wanted);
    // Its key is the box's own.
    let kept = fs::metadata(state.join("key/key.pem")).unwrap();
    assert_eq!(kept.mode() & 0o777, 0o600);
    node.workshop.cache.notes.retain(|_| false);
    node.workshop.cache.offers.to_master = false;
    installer(&node).offer_again(&url());
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(installer(&node).notes().is_empty());
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
