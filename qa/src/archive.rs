//! OCI archives for tests: the image of another archive with one more layer, which is written here. What is in it is the test's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An image in memory: its manifest, its configuration, and everything by its digest.
#[derive(Debug)]
pub struct Image {
    blobs: BTreeMap<String, Vec<u8>>,
    manifest: Value,
    configuration: Value,
}

impl Image {
    /// Reads an archive of one image, as `cargo image demo` writes it.
    pub fn of(archive: &Utf8Path) -> Result<Self> {
        let file = File::open(archive).with_context(|| format!("cannot open {archive}"))?;
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(file).entries().context("no archive")? {
            let mut entry = entry.context("a cut archive")?;
            let path = entry.path().context("a name that is none")?;
            let name = path.to_string_lossy().into_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).context("a cut archive")?;
            files.insert(name, content);
        }
        let parse = |name: &str| -> Result<Value> {
            let text = files.get(name).with_context(|| format!("no {name}"))?;
            serde_json::from_slice(text).with_context(|| format!("{name} is no JSON"))
        };
        let index = parse("index.json")?;
        let manifest = parse(&blob(&digest_in(&index["manifests"][0])?))?;
        let configuration = parse(&blob(&digest_in(&manifest["config"])?))?;
        let blobs = files.into_iter().filter_map(|(name, content)| {
            let digest = name.strip_prefix("blobs/sha256/")?.to_owned();
            Some((digest, content))
        });
        Ok(Self {
            blobs: blobs.collect(),
            manifest,
            configuration,
        })
    }

    /// Lays programs over what is in it, each a path without a leading slash and a text.
    pub fn with_programs(self, programs: &[(&str, &str)]) -> Result<Self> {
        let mut layer = tar::Builder::new(Vec::new());
        for (path, text) in programs {
            let mut header = header(text.len(), 0o755);
            layer
                .append_data(&mut header, path, text.as_bytes())
                .with_context(|| format!("cannot pack {path}"))?;
        }
        let layer = layer.into_inner().context("cannot pack a layer")?;
        self.with_layer(layer)
    }

    /// Lays a layer over what is in it: a tar, whatever is in that.
    pub fn with_layer(mut self, layer: Vec<u8>) -> Result<Self> {
        let (digest, size) = (digest(&layer), layer.len());
        let layers = self.manifest["layers"].as_array_mut();
        let layers = layers.context("a manifest without layers")?;
        layers.push(
            json!({ "mediaType": LAYER, "digest": format!("sha256:{digest}"), "size": size }),
        );
        let known = self.configuration["rootfs"]["diff_ids"].as_array_mut();
        let known = known.context("a configuration without layers")?;
        known.push(format!("sha256:{digest}").into());
        self.blobs.insert(digest, layer);
        Ok(self)
    }

    /// Changes the last byte of its last layer, which is then not what its digest says.
    pub fn spoilt(mut self) -> Result<Self> {
        let layers = self.manifest["layers"].as_array();
        let last = layers.and_then(|it| it.last()).context("no layer")?;
        let layer = self.blobs.get_mut(&digest_in(last)?);
        let byte = layer.and_then(|it| it.last_mut()).context("no layer")?;
        *byte ^= 1;
        Ok(self)
    }

    /// Writes it as an archive.
    pub fn write(mut self, archive: &Utf8Path) -> Result<()> {
        let configuration = self.configuration.to_string().into_bytes();
        let kind = self.manifest["config"]["mediaType"].clone();
        self.manifest["config"] = self.keep(kind, configuration);
        let kind = self.manifest["mediaType"].clone();
        let manifest = self.manifest.to_string().into_bytes();
        let manifest = self.keep(kind, manifest);
        let index = json!({ "schemaVersion": 2, "manifests": [manifest] }).to_string();
        let layout = json!({ "imageLayoutVersion": "1.0.0" }).to_string();
        let file = File::create(archive).with_context(|| format!("cannot create {archive}"))?;
        let mut tar = tar::Builder::new(file);
        let texts = [("oci-layout", layout), ("index.json", index)];
        let texts = texts.map(|(name, text)| (name.to_owned(), text.into_bytes()));
        let blobs = self.blobs.into_iter();
        let blobs = blobs.map(|(digest, content)| (blob(&digest), content));
        for (name, content) in texts.into_iter().chain(blobs) {
            tar.append_data(&mut header(content.len(), 0o644), &name, content.as_slice())
                .with_context(|| format!("cannot write {archive}"))?;
        }
        let written = tar.into_inner().and_then(|mut file| file.flush());
        written.with_context(|| format!("cannot write {archive}"))
    }

    fn keep(&mut self, kind: Value, content: Vec<u8>) -> Value {
        let (digest, size) = (digest(&content), content.len());
        self.blobs.insert(digest.clone(), content);
        json!({ "mediaType": kind, "digest": format!("sha256:{digest}"), "size": size })
    }
}

fn blob(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}

fn digest_in(descriptor: &Value) -> Result<String> {
    let digest = descriptor["digest"].as_str();
    let digest = digest.and_then(|it| it.strip_prefix("sha256:"));
    digest.map(str::to_owned).context("no digest")
}

fn digest(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header(size: usize, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(size as u64);
    header.set_mode(mode);
    header.set_entry_type(tar::EntryType::Regular);
    header
}
