//! What image a URL means: `docker://HOST/NAME[:TAG][@DIGEST]`, the spelling of skopeo and podman for images in registries
//! (containers-transports(5); their `oci:` is a folder). As there, `docker://nginx` is Docker Hub's. Pure.

use std::fmt;
use std::str::FromStr;

use crate::software::archive::Digest;

/// An image in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// With its port, if it has one.
    pub(crate) host: String,
    pub(crate) name: String,
    pub(crate) version: Version,
}

/// Which of the images of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Tag(String),
    Digest(Digest),
}

/// A text that names no image.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "it is no reference to an image: {0} (docker://HOST/NAME:TAG or docker://HOST/NAME@sha256:DIGEST)"
)]
pub struct NotAReference(&'static str);

pub(super) const NO_HOST: NotAReference = NotAReference("its host is none");
/// What a URL begins with that is a reference.
pub(crate) const SCHEME: &str = "docker://";
const HUB: &str = "docker.io";
/// Where Docker Hub really is.
const HUB_HOST: &str = "registry-1.docker.io";
const LONGEST: usize = 255;
const LONGEST_TAG: usize = 128;

impl FromStr for Reference {
    type Err = NotAReference;

    fn from_str(url: &str) -> Result<Self, NotAReference> {
        let rest = url
            .strip_prefix(SCHEME)
            .ok_or(NotAReference("it does not begin with `docker://`"))?;
        let (named, digest) = match rest.split_once('@') {
            Some((named, digest)) => (named, Some(digest.to_owned())),
            None => (rest, None),
        };
        // A colon before the last slash is a port's.
        let (path, tag) = match named.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
            _ => (named, None),
        };
        let (host, name) = match path.split_once('/') {
            Some((host, name)) if is_host(host) => (host, name.to_owned()),
            Some(_) => (HUB, path.to_owned()),
            None => (HUB, format!("library/{path}")),
        };
        if name.len() > LONGEST || !name.split('/').all(is_part) {
            return Err(NotAReference("its name is none"));
        }
        let version = match (digest, tag) {
            // What is pinned does not need the tag.
            (Some(digest), _) => {
                let digest = Digest::try_from(digest);
                Version::Digest(digest.map_err(|_| NotAReference("its digest is no SHA-256"))?)
            }
            (None, Some(tag)) if is_tag(tag) => Version::Tag(tag.to_owned()),
            (None, Some(_)) => return Err(NotAReference("its tag is none")),
            (None, None) => Version::Tag("latest".to_owned()),
        };
        let host = if host == HUB { HUB_HOST } else { host };
        reqwest::Url::parse(&format!("https://{host}/")).map_err(|_| NO_HOST)?;
        Ok(Self {
            host: host.to_owned(),
            name,
            version,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// Told from the first part of a name as Docker does: a name has neither dot nor colon there.
fn is_host(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    text.bytes().all(allowed) && (text.contains(['.', ':']) || text == "localhost")
}

/// Source: the grammar of names in the OCI distribution specification.
fn is_part(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let allowed = |byte: u8| plain(&byte) || b"._-".contains(&byte);
    let bytes = text.as_bytes();
    text.bytes().all(allowed)
        && bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && !text.contains("..")
}

fn is_tag(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=LONGEST_TAG).contains(&text.len())
        && text
            .bytes()
            .all(|byte| plain(byte) || b".-".contains(&byte))
        && !text.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_understood_as_the_field_does() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (url, host, name, version) in [
            ("docker://nginx", HUB_HOST, "library/nginx", "latest"),
            ("docker://bitnami/redis:7", HUB_HOST, "bitnami/redis", "7"),
            (
                "docker://docker.io/library/redis:7",
                HUB_HOST,
                "library/redis",
                "7",
            ),
            (
                "docker://ghcr.io/a/b/c:v1.2-x",
                "ghcr.io",
                "a/b/c",
                "v1.2-x",
            ),
            (
                "docker://localhost:5001/demo",
                "localhost:5001",
                "demo",
                "latest",
            ),
            ("docker://[::1]:5001/demo:1", "[::1]:5001", "demo", "1"),
            (
                &format!("docker://quay.io/a:1@{digest}"),
                "quay.io",
                "a",
                &digest,
            ),
        ] {
            let found: Reference = url.parse().unwrap();
            let shown = (
                found.host.as_str(),
                found.name.as_str(),
                found.version.to_string(),
            );
            assert_eq!(shown, (host, name, version.to_owned()), "{url}");
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_in_words() {
        for (url, words) in [
            ("oci://ghcr.io/a", "it does not begin with `docker://`"),
            ("docker://", "its name is none"),
            ("docker://ghcr.io/", "its name is none"),
            ("docker://ghcr.io/A", "its name is none"),
            ("docker://ghcr.io/../a", "its name is none"),
            ("docker://ghcr.io/a?x=y", "its name is none"),
            ("docker://user:secret/a", "its host is none"),
            ("docker://ghcr.io/a:", "its tag is none"),
            ("docker://ghcr.io/a:-x", "its tag is none"),
            ("docker://ghcr.io/a@sha512:00", "its digest is no SHA-256"),
        ] {
            let error = url.parse::<Reference>().unwrap_err();
            assert_eq!(error, NotAReference(words), "{url}");
        }
    }
}
