//! A stock image, as people find them in registries: Debian's nginx on top of the demo's layer, with an entrypoint that expects to
//! be root, a volume, a low port and nothing of SlapOS. Made as a Dockerfile would: one more layer, and another configuration.

use std::fs::File;
use std::io::{self, Read as _, Write as _};

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

const CONFIGURATION: &str = include_str!("stock/nginx.conf");
const ENTRYPOINT: &str = include_str!("stock/docker-entrypoint.sh");
/// The user of web servers in Debian.
const WWW_DATA: u64 = 33;

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Whom the image starts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartsAs {
    /// As most do; its entrypoint and its program become somebody else.
    Root,
    /// As the user who serves.
    WwwData,
}

/// Derives the image from the demo's archive.
pub fn make(demo: &Utf8Path, archive: &Utf8Path, starts_as: StartsAs) -> Result<()> {
    let (base, size) = base_layer(demo)?;
    let added = added_layer().context("cannot make a layer")?;
    let user = match starts_as {
        StartsAs::Root => "",
        StartsAs::WwwData => "www-data",
    };
    let config = text(&json!({
        "os": "linux", "architecture": "amd64",
        "rootfs": { "type": "layers", "diff_ids": [] },
        "config": {
            "Entrypoint": ["/docker-entrypoint.sh"],
            "Cmd": ["nginx", "-g", "daemon off;"],
            "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "GREETING=nobody"],
            "ExposedPorts": { "80/tcp": {} },
            "Volumes": { "/data": {} },
            "User": user,
            "StopSignal": "SIGQUIT",
        },
    }));
    let manifest = text(&json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": described(CONFIG, &config),
        "layers": [base, described(LAYER, &added)],
    }));
    let index = text(&json!({
        "schemaVersion": 2, "manifests": [described(MANIFEST, &manifest)],
    }));
    let layout = text(&json!({ "imageLayoutVersion": "1.0.0" }));
    let write = || {
        let mut tar = Builder::new(File::create(archive)?);
        put(&mut tar, "oci-layout", &layout)?;
        put(&mut tar, "index.json", &index)?;
        for blob in [&config, &manifest, &added] {
            put(&mut tar, &format!("blobs/sha256/{}", hex(blob)), blob)?;
        }
        copy_base(demo, &base, size, &mut tar)?;
        tar.into_inner()?.flush()
    };
    write().with_context(|| format!("cannot write {archive}"))
}

/// Finds the descriptor of the demo's one layer.
fn base_layer(demo: &Utf8Path) -> Result<(Value, u64)> {
    let manifest = find(demo, |text| {
        let value: Value = serde_json::from_slice(text).ok()?;
        value["layers"].get(0).cloned()
    });
    let layer = manifest.with_context(|| format!("{demo} has no manifest"))?;
    let size = layer["size"].as_u64().context("a layer has a size")?;
    Ok((layer, size))
}

fn find<T>(archive: &Utf8Path, pick: impl Fn(&[u8]) -> Option<T>) -> Result<T> {
    let mut tar = tar::Archive::new(File::open(archive)?);
    for entry in tar.entries()? {
        let mut entry = entry?;
        if entry.size() < 64 * 1024 {
            let mut text = Vec::new();
            entry.read_to_end(&mut text)?;
            if let Some(found) = pick(&text) {
                return Ok(found);
            }
        }
    }
    anyhow::bail!("{archive} does not have it")
}

fn copy_base(demo: &Utf8Path, base: &Value, size: u64, to: &mut Builder<File>) -> io::Result<()> {
    let digest = base["digest"].as_str().unwrap_or_default();
    let path = format!("blobs/{}", digest.replace(':', "/"));
    let mut tar = tar::Archive::new(File::open(demo)?);
    for entry in tar.entries()? {
        let entry = entry?;
        if entry.path()?.ends_with(&path) {
            let mut header = header(EntryType::Regular, 0, 0o644, size);
            return to.append_data(&mut header, &path, entry);
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

fn added_layer() -> io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    let mut add = |path: &str, kind, owner, mode, content: &str| {
        let mut header = header(kind, owner, mode, content.len() as u64);
        tar.append_data(&mut header, path, content.as_bytes())
    };
    let (file, folder) = (EntryType::Regular, EntryType::Directory);
    // What makes the demo a release of SlapOS.
    add(".wh.slapos", file, 0, 0o644, "")?;
    add("docker-entrypoint.sh", file, 0, 0o755, ENTRYPOINT)?;
    add("etc/nginx", folder, 0, 0o755, "")?;
    add("etc/nginx/nginx.conf", file, 0, 0o644, CONFIGURATION)?;
    // A user's own, as in images that start as that user.
    for path in ["run", "var/lib/nginx", "var/log/nginx"] {
        add(path, folder, WWW_DATA, 0o755, "")?;
    }
    add("data", folder, WWW_DATA, 0o750, "")?;
    add("data/index.html", file, WWW_DATA, 0o640, "from the image\n")?;
    tar.into_inner()
}

fn put(tar: &mut Builder<File>, path: &str, content: &[u8]) -> io::Result<()> {
    let mut header = header(EntryType::Regular, 0, 0o644, content.len() as u64);
    tar.append_data(&mut header, path, content)
}

fn header(kind: EntryType, owner: u64, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mode(mode);
    header.set_size(size);
    header
}

fn described(kind: &str, content: &[u8]) -> Value {
    let digest = format!("sha256:{}", hex(content));
    json!({ "mediaType": kind, "digest": digest, "size": content.len() })
}

fn hex(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}
