//! What an OCI image says of itself: which of a layout's images is for this machine, its layers, and what it runs.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::archive::{Archive, ArchiveError, Descriptor, Platform};
pub use device::Device;
pub use port::{Port, Transport};
pub use volume::Volume;

mod device;
mod port;
mod volume;

/// How deep an index may name other indexes.
const DEEPEST_INDEX: usize = 3;

/// An image of a layout.
pub(super) struct Image {
    /// The configuration as it was written.
    pub(super) configuration: Vec<u8>,
    /// From the lowest up.
    pub(super) layers: Vec<Descriptor>,
}

/// What an image runs: the part of its configuration that we use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Runs {
    #[serde(deserialize_with = "null_is_empty")]
    pub entrypoint: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub cmd: Vec<String>,
    /// `NAME=value`.
    #[serde(deserialize_with = "null_is_empty")]
    pub env: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub working_dir: String,
    /// A user of the image and maybe a group, `USER[:GROUP]`, each by name or number; nothing is root.
    #[serde(deserialize_with = "null_is_empty")]
    pub user: String,
    /// What ends its program, as `SIGQUIT` or `3`; nothing is `SIGTERM`.
    #[serde(deserialize_with = "null_is_empty")]
    pub stop_signal: String,
    /// Where it keeps what shall outlive it.
    #[serde(deserialize_with = "volume::all")]
    pub volumes: BTreeSet<Volume>,
    /// Where it listens.
    #[serde(deserialize_with = "port::all")]
    pub exposed_ports: BTreeSet<Port>,
    /// What of the node it needs; nothing of it is given to stock images.
    #[serde(rename = "Labels", deserialize_with = "device::all")]
    pub devices: BTreeSet<Device>,
}

/// What a registry gives for a name.
pub(super) enum Manifests {
    Index(Index),
    Image {
        config: Descriptor,
        layers: Vec<Descriptor>,
    },
}

/// Images for several machines.
#[derive(Deserialize)]
pub(super) struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    config: Option<Runs>,
}

impl Runs {
    /// Reads an image's configuration.
    pub fn parse(configuration: &[u8]) -> Result<Self, serde_json::Error> {
        let configuration: Configuration = serde_json::from_slice(configuration)?;
        Ok(configuration.config.unwrap_or_default())
    }

    /// Returns the one program of an image that says nothing else.
    pub fn command(&self) -> Vec<String> {
        self.entrypoint.iter().chain(&self.cmd).cloned().collect()
    }

    /// Returns where that program begins, if the image says so.
    pub fn folder(&self) -> Option<String> {
        let folder = &self.working_dir;
        folder.starts_with('/').then(|| folder.clone())
    }
}

/// Finds the layout's image for `architecture`.
pub(super) fn find(archive: &Archive, architecture: &str) -> Result<Image, ArchiveError> {
    let index = parse(&archive.index, "index.json")?;
    let mut seen = Vec::new();
    match search(archive, index, architecture, DEEPEST_INDEX, &mut seen)? {
        Some(image) => Ok(image),
        None => Err(no_platform(architecture, &seen)),
    }
}

fn no_platform(architecture: &str, seen: &[String]) -> ArchiveError {
    ArchiveError::NoPlatform {
        wanted: format!("linux/{architecture}"),
        has: match seen.is_empty() {
            true => "none".to_owned(),
            false => seen.join(", "),
        },
    }
}

/// Reads what a registry gives for a name; nothing if it is neither an index nor an image.
pub(super) fn manifests(text: &[u8]) -> Result<Option<Manifests>, ArchiveError> {
    #[derive(Deserialize)]
    struct Either {
        manifests: Option<Vec<Descriptor>>,
        config: Option<Descriptor>,
        layers: Option<Vec<Descriptor>>,
    }
    let either: Either = parse(text, "manifest")?;
    Ok(match (either.manifests, either.config, either.layers) {
        (Some(manifests), _, _) => Some(Manifests::Index(Index { manifests })),
        (None, Some(config), Some(layers)) => Some(Manifests::Image { config, layers }),
        (None, _, _) => None,
    })
}

impl Index {
    /// Returns the entry for a machine; one that names no machine may be for any.
    pub(super) fn choose(self, architecture: &str) -> Result<Descriptor, ArchiveError> {
        let mut seen = Vec::new();
        for descriptor in self.manifests {
            match &descriptor.platform {
                Some(platform) if !platform.is(architecture) => seen.push(platform.to_string()),
                _ => return Ok(descriptor),
            }
        }
        Err(no_platform(architecture, &seen))
    }
}

/// Says whether an image's configuration is for a machine.
pub(super) fn check_platform(text: &[u8], architecture: &str) -> Result<(), ArchiveError> {
    let platform: Platform = parse(text, "image configuration")?;
    if platform.is(architecture) {
        return Ok(());
    }
    Err(no_platform(architecture, &[platform.to_string()]))
}

/// Returns this machine's architecture in the words of Go, as images have it.
pub(super) fn own_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn search(
    archive: &Archive,
    index: Index,
    architecture: &str,
    depth: usize,
    seen: &mut Vec<String>,
) -> Result<Option<Image>, ArchiveError> {
    for descriptor in index.manifests {
        if let Some(platform) = &descriptor.platform
            && !platform.is(architecture)
        {
            seen.push(platform.to_string());
            continue;
        }
        let text = archive.document(&descriptor)?;
        let found = if is_index(&descriptor) {
            if depth == 0 {
                continue;
            }
            search(
                archive,
                parse(&text, "index")?,
                architecture,
                depth - 1,
                seen,
            )?
        } else {
            image(archive, parse(&text, "manifest")?, architecture, seen)?
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn image(
    archive: &Archive,
    manifest: Manifest,
    architecture: &str,
    seen: &mut Vec<String>,
) -> Result<Option<Image>, ArchiveError> {
    let text = archive.document(&manifest.config)?;
    let platform: Platform = parse(&text, "image configuration")?;
    if !platform.is(architecture) {
        seen.push(platform.to_string());
        return Ok(None);
    }
    Ok(Some(Image {
        configuration: text,
        layers: manifest.layers,
    }))
}

fn is_index(descriptor: &Descriptor) -> bool {
    let kind = descriptor.media_type.as_str();
    kind.ends_with(".image.index.v1+json") || kind.ends_with(".manifest.list.v2+json")
}

fn parse<'a, T: Deserialize<'a>>(text: &'a [u8], what: &'static str) -> Result<T, ArchiveError> {
    serde_json::from_slice(text).map_err(|source| ArchiveError::Document { what, source })
}

fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(config: &str) -> Result<Runs, String> {
        let text = format!(r#"{{"os": "linux", "architecture": "amd64", "config": {config}}}"#);
        Runs::parse(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_configuration_of_the_field_is_understood() {
        let runs = parse(
            r#"{"User": "redis", "ExposedPorts": {"6379/tcp": {}}, "Volumes": {"/data": {}},
                "StopSignal": "SIGQUIT", "Labels": {"a": "b", "org.slapbox.devices": "tun, kvm"}}"#,
        )
        .unwrap();
        assert_eq!(
            (runs.user.as_str(), runs.stop_signal.as_str()),
            ("redis", "SIGQUIT")
        );
        let (ports, volumes) = (runs.exposed_ports.iter(), runs.volumes.iter());
        assert_eq!(
            ports.map(ToString::to_string).collect::<Vec<_>>(),
            ["6379/tcp"]
        );
        assert_eq!(volumes.map(Volume::as_str).collect::<Vec<_>>(), ["/data"]);
        assert_eq!(runs.devices, [Device::Kvm, Device::Tun].into());
        let nothing =
            parse(r#"{"User": null, "ExposedPorts": null, "Volumes": null, "Labels": null}"#);
        assert_eq!(nothing.unwrap(), Runs::default());
    }

    #[test]
    fn what_cannot_be_run_is_refused_in_words() {
        for (config, words) in [
            (r#"{"ExposedPorts": {"http": {}}}"#, "`http` is not a port"),
            (
                r#"{"Labels": {"org.slapbox.devices": "tun,mem"}}"#,
                "its image asks for the device `mem`, and may ask for",
            ),
            (r#"{"Volumes": {"/..": {}}}"#, "`/..` cannot be a volume"),
            (
                r#"{"Volumes": {"/a/b": {}, "/a-b": {}}}"#,
                "the volumes `/a-b` and `/a/b` cannot be told apart",
            ),
        ] {
            let said = parse(config).unwrap_err();
            assert!(said.starts_with(words), "{said}");
        }
    }
}
