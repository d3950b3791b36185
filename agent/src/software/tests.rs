//! Archives as people make them, and as an enemy does.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use super::*;
use crate::causes::in_one_line;

mod hostile;
mod registry;
pub(super) mod served;
mod shared;

/// An entry of a layer under construction.
struct Put {
    path: Vec<u8>,
    kind: EntryType,
    link: Vec<u8>,
    mode: u32,
    content: Vec<u8>,
}

fn file(path: &str, content: &str) -> Put {
    Put {
        path: path.into(),
        kind: EntryType::Regular,
        link: Vec::new(),
        mode: 0o644,
        content: content.into(),
    }
}

fn folder(path: &str) -> Put {
    let kind = EntryType::Directory;
    Put {
        kind,
        ..file(path, "")
    }
}

fn link(kind: EntryType, path: &str, target: &str) -> Put {
    Put {
        kind,
        link: target.into(),
        ..file(path, "")
    }
}

/// Writes a tar as given: a builder would refuse the paths that matter here.
fn tar_of(entries: &[Put]) -> Vec<u8> {
    let mut archive = Vec::new();
    for entry in entries {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..entry.path.len()].copy_from_slice(&entry.path);
        header.as_old_mut().linkname[..entry.link.len()].copy_from_slice(&entry.link);
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_uid(33);
        header.set_gid(33);
        header.set_mtime(1_700_000_000);
        header.set_size(entry.content.len() as u64);
        header.set_cksum();
        archive.extend_from_slice(header.as_bytes());
        archive.extend_from_slice(&entry.content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

type Spoil = fn(&mut Vec<Put>);

/// A layout under construction.
struct Layout {
    architecture: &'static str,
    layers: Vec<Vec<u8>>,
    /// What is done to the members of the archive at the end.
    spoil: Spoil,
}

fn layout(layers: Vec<Vec<u8>>) -> Layout {
    Layout {
        architecture: image::own_architecture(),
        layers,
        spoil: |_| {},
    }
}

impl Layout {
    fn bytes(&self) -> Vec<u8> {
        let mut blobs = Vec::new();
        let layers = self.layers.iter();
        let layers: Vec<_> = layers
            .map(|layer| add(&mut blobs, layer, "layer"))
            .collect();
        let configuration = serde_json::json!({
            "os": "linux", "architecture": self.architecture,
            "config": {"Entrypoint": ["/bin/serve"], "Cmd": null, "Env": ["A=b"], "WorkingDir": "/srv"},
        });
        let configuration = add(&mut blobs, configuration.to_string().as_bytes(), "config");
        let manifest = serde_json::json!({"config": configuration, "layers": layers});
        let manifest = add(
            &mut blobs,
            manifest.to_string().as_bytes(),
            "manifest.v1+json",
        );
        let index = serde_json::json!({"schemaVersion": 2, "manifests": [manifest]});
        blobs.push(file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#));
        blobs.push(file("./index.json", &index.to_string()));
        (self.spoil)(&mut blobs);
        tar_of(&blobs)
    }
}

fn add(blobs: &mut Vec<Put>, content: &[u8], kind: &str) -> serde_json::Value {
    let digest: String = Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    blobs.push(Put {
        content: content.to_owned(),
        ..file(&format!("blobs/sha256/{digest}"), "")
    });
    serde_json::json!({
        "mediaType": format!("application/vnd.oci.image.{kind}"),
        "digest": format!("sha256:{digest}"), "size": content.len(),
    })
}

/// Unpacks an archive as an installation does.
fn unpacked(archive: &[u8]) -> (tempfile::TempDir, Utf8PathBuf, Result<(), SoftwareError>) {
    let keep = tempfile::tempdir().unwrap();
    let folder = Utf8PathBuf::from_path_buf(keep.path().join("new")).unwrap();
    fs::create_dir(&folder).unwrap();
    let path = folder.join("archive");
    File::create(&path).unwrap().write_all(archive).unwrap();
    let result = oci::unpack_archive(&path, &folder);
    let rootfs = folder.join("rootfs");
    (keep, rootfs, result)
}

fn words(error: SoftwareError) -> String {
    in_one_line(&error)
}

#[test]
fn an_image_is_laid_down_layer_by_layer() {
    let first = tar_of(&[
        folder("usr/"),
        folder("usr/lib/"),
        link(EntryType::Symlink, "lib", "usr/lib"),
        file("usr/lib/old", "1"),
        file("etc/gone", "1"),
        file("data/below/a", "1"),
        file("data/kept", "1"),
        Put {
            mode: 0o4711,
            ..file("bin/serve", "#!")
        },
    ]);
    let second = tar_of(&[
        file("data/new", "2"),
        file("data/.wh..wh..opq", ""),
        file("etc/.wh.gone", ""),
        file("lib/old", "2"),
        link(EntryType::Link, "bin/same", "./bin/serve"),
        folder("lib/"),
    ]);
    let second = zstd::encode_all(second.as_slice(), 3).unwrap();
    let (_keep, rootfs, result) = unpacked(&layout(vec![gzip(&first), second]).bytes());
    result.unwrap();
    let read = |path: &str| fs::read_to_string(rootfs.join(path)).ok();
    assert_eq!(read("usr/lib/old").as_deref(), Some("2"));
    assert_eq!(read("etc/gone"), None);
    assert_eq!(read("data/new").as_deref(), Some("2"));
    assert_eq!(read("data/kept"), None);
    assert!(!rootfs.join("data/below").exists());
    assert!(rootfs.join("lib").symlink_metadata().unwrap().is_symlink());
    let serve = fs::metadata(rootfs.join("bin/serve")).unwrap();
    assert_eq!(serve.permissions().mode() & 0o7777, 0o755);
    assert_eq!(serve.mtime(), 1_700_000_000);
    assert_eq!(serve.nlink(), 2);
    let old = fs::metadata(rootfs.join("usr/lib/old")).unwrap();
    assert_eq!(old.permissions().mode() & 0o7777, 0o644);
    if nix::unistd::Uid::effective().is_root() {
        for path in ["usr/lib/old", "usr/lib", "lib"] {
            let found = rootfs.join(path).symlink_metadata().unwrap();
            assert_eq!((found.uid(), found.gid()), (33, 33), "{path}");
        }
    }
}

#[test]
fn an_installed_image_says_what_it_runs() {
    let (keep, _rootfs, result) = unpacked(&layout(vec![tar_of(&[])]).bytes());
    result.unwrap();
    let software = Utf8PathBuf::from_path_buf(keep.path().to_owned()).unwrap();
    let url = SoftwareUrl::new("https://x/demo.oci.tar");
    fs::rename(software.join("new"), directory(&software, &url)).unwrap();
    assert!(is_installed(&software, &url));
    let release = read(&software, &url).unwrap();
    assert_eq!(release.runs.command(), ["/bin/serve"]);
    assert_eq!(release.runs.folder().as_deref(), Some("/srv"));
    assert_eq!(release.makes, Makes::Nothing);
    let instantiate = release.rootfs.join("slapos/instantiate");
    fs::create_dir(release.rootfs.join("slapos")).unwrap();
    File::create(instantiate).unwrap();
    assert_eq!(read(&software, &url).unwrap().makes, Makes::Script);
}

#[test]
fn the_directory_is_the_md5_of_the_url_as_the_peer_has_it() {
    let url =
        SoftwareUrl::new("https://lab.nexedi.com/nexedi/slapos/raw/1.0/software/x/software.cfg");
    let id = ReleaseId::of(&url);
    assert_eq!(id.as_str(), "d326ed849dfa484a409cc6a7a6fa974e");
}

#[test]
fn what_is_wrong_with_an_archive_is_said_in_words() {
    let cases: [(&str, Spoil); 5] = [
        (
            "failed to use its archive: it is not an OCI layout archive: it has no `index.json`",
            |all| {
                all.retain(|put| put.path != b"./index.json");
            },
        ),
        (
            "failed to use its archive: it is not an OCI layout archive: it has no `oci-layout`",
            |all| {
                all.retain(|put| put.path != b"oci-layout");
            },
        ),
        (
            "failed to use its archive: it names the blob sha256:",
            |all| {
                all.remove(0);
            },
        ),
        (
            "failed to use its archive: the content of the blob sha256:",
            |all| {
                all[0].content[0] ^= 1;
            },
        ),
        ("failed to use its archive: the blob sha256:", |all| {
            all[0].content.push(0);
        }),
    ];
    for (expected, spoil) in cases {
        let spoilt = Layout {
            spoil,
            ..layout(vec![tar_of(&[file("a", "1")])])
        };
        let (_keep, _rootfs, result) = unpacked(&spoilt.bytes());
        let words = words(result.unwrap_err());
        assert!(words.starts_with(expected), "{words}");
    }
}

#[test]
fn an_image_for_another_machine_is_refused_with_what_there_is() {
    let other = Layout {
        architecture: "riscv64",
        ..layout(Vec::new())
    };
    let (_keep, _rootfs, result) = unpacked(&other.bytes());
    let words = words(result.unwrap_err());
    let own = image::own_architecture();
    assert_eq!(
        words,
        format!(
            "failed to use its archive: it has no image for linux/{own} (it has: linux/riscv64)"
        )
    );
}

#[test]
fn what_is_no_archive_at_all_is_said_in_words() {
    for (content, expected) in [
        (
            b"<html>Not Found</html>".to_vec(),
            "failed to use its archive: failed to read it as a tar archive: unexpected end of file",
        ),
        (
            vec![b'x'; 4096],
            "failed to use its archive: failed to read it as a tar archive: numeric field",
        ),
        (
            Vec::new(),
            "failed to use its archive: it is not an OCI layout archive",
        ),
    ] {
        let (_keep, _rootfs, result) = unpacked(&content);
        let words = words(result.unwrap_err());
        assert!(words.starts_with(expected), "{words}");
    }
}
