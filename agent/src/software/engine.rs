//! Which engine installs a release, told by its URL. Pure.

use super::registry::SCHEME;
use crate::desired::SoftwareUrl;

/// An engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Unpacks an OCI image.
    Oci,
    /// Runs buildout with a profile.
    Buildout,
}

impl Engine {
    /// Returns the engine for a URL, if there is one.
    pub fn of(url: &SoftwareUrl) -> Option<Self> {
        let path = url.as_str().split(['?', '#']).next().unwrap_or_default();
        let is_archive = [".oci.tar", ".oci.tar.gz", ".oci.tar.zst"]
            .iter()
            .any(|end| path.ends_with(end));
        if is_archive || url.as_str().starts_with(SCHEME) {
            Some(Self::Oci)
        } else if path.ends_with(".cfg") {
            Some(Self::Buildout)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_url_tells_the_engine() {
        for (url, engine) in [
            ("https://x/nginx.oci.tar.zst?v=1.cfg", Some(Engine::Oci)),
            ("https://x/nginx.oci.tar#a", Some(Engine::Oci)),
            ("docker://x/nginx:1.cfg", Some(Engine::Oci)),
            ("oci://x/nginx", None),
            ("https://x/software.cfg", Some(Engine::Buildout)),
            (
                "https://x/raw/1.0/software.cfg?ref=a",
                Some(Engine::Buildout),
            ),
            ("https://x/software.cfg.bak", None),
            ("https://x/image.tar", None),
        ] {
            assert_eq!(Engine::of(&SoftwareUrl::new(url)), engine, "{url}");
        }
    }
}
