//! Packs a root file system as an OCI image of one layer, in an archive that is the same on every run.

use std::fs::File;
use std::io::{self, Write};

use anyhow::{Context, Result};
use camino::Utf8Path;
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};

use crate::inputs::{file_sha256, sha256};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Turns the tar of a root file system into an OCI archive.
pub(crate) fn pack(rootfs: &Utf8Path, labels: &[(&str, &str)], archive: &Utf8Path) -> Result<()> {
    let layer = rootfs.with_extension("layer.gz");
    compress(rootfs, &layer).with_context(|| format!("cannot compress `{rootfs}`"))?;
    let mut runs = json!({ "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] });
    for (name, value) in labels {
        runs["Labels"][*name] = (*value).into();
    }
    let config = text(&json!({
        "architecture": "amd64",
        "os": "linux",
        "config": runs,
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", file_sha256(rootfs)?)] },
    }))?;
    let layer_size = layer
        .metadata()
        .with_context(|| format!("cannot look at `{layer}`"))?
        .len();
    let layer_digest = file_sha256(&layer)?;
    let manifest = text(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, &sha256(&config), config.len() as u64),
        "layers": [descriptor(LAYER, &layer_digest, layer_size)],
    }))?;
    let index = text(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [descriptor(MANIFEST, &sha256(&manifest), manifest.len() as u64)],
    }))?;
    let texts = [
        (
            "oci-layout".to_owned(),
            text(&json!({ "imageLayoutVersion": "1.0.0" }))?,
        ),
        ("index.json".to_owned(), index),
        (blob(&sha256(&manifest)), manifest),
        (blob(&sha256(&config)), config),
    ];
    let fresh = archive.with_extension("new");
    write(&fresh, &texts, (&blob(&layer_digest), &layer))
        .with_context(|| format!("cannot write `{fresh}`"))?;
    crate::disk::rename(&fresh, archive)
}

fn blob(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}

fn descriptor(kind: &str, digest: &str, size: u64) -> Value {
    json!({ "mediaType": kind, "digest": format!("sha256:{digest}"), "size": size })
}

fn text(value: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(value).context("cannot write JSON")
}

fn compress(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    let mut gzip = GzBuilder::new()
        .mtime(0)
        .write(File::create(to)?, Compression::default());
    io::copy(&mut File::open(from)?, &mut gzip)?;
    gzip.finish()?.sync_all()
}

fn write(
    archive: &Utf8Path,
    texts: &[(String, Vec<u8>)],
    layer: (&str, &Utf8Path),
) -> io::Result<()> {
    let mut builder = tar::Builder::new(File::create(archive)?);
    for (name, text) in texts {
        builder.append_data(&mut header(text.len() as u64), name, text.as_slice())?;
    }
    let size = layer.1.metadata()?.len();
    builder.append_data(&mut header(size), layer.0, File::open(layer.1)?)?;
    let mut file = builder.into_inner()?;
    file.flush()?;
    file.sync_all()
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    header
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use super::*;

    #[test]
    fn every_digest_in_the_archive_leads_to_its_blob() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(scratch.path()).unwrap();
        let (rootfs, archive) = (folder.join("demo.tar"), folder.join("demo.oci.tar"));
        crate::disk::replace(&rootfs, b"a root file system").unwrap();
        let labels = [("org.slapbox.devices", "tun")];
        pack(&rootfs, &labels, &archive).unwrap();
        let bytes = std::fs::read(&archive).unwrap();
        pack(&rootfs, &labels, &archive).unwrap();
        assert_eq!(bytes, std::fs::read(&archive).unwrap());

        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            files.insert(entry.path().unwrap().to_str().unwrap().to_owned(), content);
        }
        let follow = |descriptor: &Value| {
            let digest = descriptor["digest"]
                .as_str()
                .unwrap()
                .strip_prefix("sha256:")
                .unwrap()
                .to_owned();
            let content = files[&blob(&digest)].clone();
            assert_eq!(
                (sha256(&content), content.len() as u64),
                (digest, descriptor["size"].as_u64().unwrap())
            );
            content
        };
        let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        let manifest: Value = serde_json::from_slice(&follow(&index["manifests"][0])).unwrap();
        let config: Value = serde_json::from_slice(&follow(&manifest["config"])).unwrap();
        assert_eq!(config["config"]["Labels"]["org.slapbox.devices"], "tun");
        let mut unpacked = String::new();
        let layer = follow(&manifest["layers"][0]);
        flate2::read::GzDecoder::new(layer.as_slice())
            .read_to_string(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, "a root file system");
    }
}
