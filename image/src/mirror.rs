//! Where Debian packages come from: found in the host's own apt sources or given, never written down here.

use anyhow::{Context, Result};
use camino::Utf8Path;
use mkosi_config_builder::apt::{Mirror, Source, Sources};
use mkosi_config_builder::{Text, ValueError, list};
use thiserror::Error;

/// The Debian release that images and tools are made of.
pub(crate) const SUITE: &str = "trixie";

/// Signs the archive; part of every Debian.
pub(crate) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Suites by which a source is recognised as Debian's own.
const SUITES: [&str; 7] = [
    "bookworm",
    "trixie",
    "forky",
    "oldstable",
    "stable",
    "testing",
    "sid",
];

/// Why there is no mirror to use.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum MirrorError {
    #[error(
        "no Debian mirror in this machine's apt sources ({looked}): give one with `--mirror http://HOST/debian`"
    )]
    None { looked: String },
    #[error(
        "mirror `{url}` is no http or https address: builds fetch packages inside a sandbox that sees no local files"
    )]
    Scheme { url: String },
    #[error(
        "mirror `{url}` does not end in `/debian`, and this machine's apt sources name no mirror of the security archive: add one there"
    )]
    NoSecurity { url: String },
    #[error("mirror `{url}` is not usable")]
    Url {
        url: String,
        #[source]
        source: ValueError,
    },
}

/// A mirror of Debian's archive and one of its security archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirrors {
    pub(crate) archive: String,
    pub(crate) security: String,
}

impl Mirrors {
    /// Finds the mirrors: the given one, or those of the host's apt sources.
    pub(crate) fn find(given: Option<&str>) -> Result<Self> {
        let etc = Utf8Path::new("/etc/apt");
        let mut texts = Vec::new();
        for path in source_files(etc)? {
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`"))?;
            texts.push((path.extension() == Some("sources"), text));
        }
        Ok(Self::choose(given, &texts)?)
    }

    /// Chooses from texts of apt sources, each with whether it is in deb822 form.
    fn choose(given: Option<&str>, texts: &[(bool, String)]) -> Result<Self, MirrorError> {
        let entries: Vec<Entry> = texts
            .iter()
            .flat_map(|(deb822, text)| entries(*deb822, text))
            .collect();
        let debian = |entry: &&Entry| entry.suite_among(|it| SUITES.contains(&it));
        let security = |entry: &&Entry| {
            entry.suite_among(|it| {
                it.strip_suffix("-security")
                    .is_some_and(|it| SUITES.contains(&it))
            })
        };
        let found_security = entries.iter().find(security).map(|it| it.uri.clone());
        let archive =
            match given {
                Some(url) => url.to_owned(),
                None => entries.iter().find(debian).map(|it| it.uri.clone()).ok_or(
                    MirrorError::None {
                        looked: "/etc/apt/sources.list, /etc/apt/sources.list.d".to_owned(),
                    },
                )?,
            };
        let archive = archive.trim_end_matches('/').to_owned();
        let security = match found_security {
            Some(found) if given.is_none() => found,
            found => match archive.strip_suffix("/debian") {
                Some(host) => format!("{host}/debian-security"),
                None => found.ok_or(MirrorError::NoSecurity {
                    url: archive.clone(),
                })?,
            },
        };
        let mirrors = Self {
            archive,
            security: security.trim_end_matches('/').to_owned(),
        };
        for url in [&mirrors.archive, &mirrors.security] {
            if !url.starts_with("http://") && !url.starts_with("https://") {
                return Err(MirrorError::Scheme { url: url.clone() });
            }
        }
        Ok(mirrors)
    }

    /// Returns the sources that apt is given, on the host and in mkosi's sandbox alike.
    pub(crate) fn sources(&self) -> Result<Sources> {
        let source = |url: &str, suites: &[&str]| -> Result<Source, MirrorError> {
            let bad = |source| MirrorError::Url {
                url: url.to_owned(),
                source,
            };
            Ok(Source {
                uris: vec![Mirror::new(url).map_err(bad)?],
                suites: list(suites).map_err(bad)?,
                components: list(["main"]).map_err(bad)?,
                signed_by: Some(KEYRING.parse().map_err(bad)?),
                ..Source::default()
            })
        };
        let updates = format!("{SUITE}-updates");
        let security = format!("{SUITE}-security");
        let sources = Sources {
            comment: Some(Text::new(
                "Packages of the build; written by `cargo image`.",
            )?),
            stanzas: vec![
                source(&self.archive, &[SUITE, &updates])?,
                source(&self.security, &[&security])?,
            ],
        };
        sources.validate()?;
        Ok(sources)
    }
}

fn source_files(etc: &Utf8Path) -> Result<Vec<camino::Utf8PathBuf>> {
    let mut found = Vec::new();
    let main = etc.join("sources.list");
    if main.is_file() {
        found.push(main);
    }
    let parts = etc.join("sources.list.d");
    if parts.is_dir() {
        for name in crate::disk::files(&parts)? {
            if matches!(name.extension(), Some("list" | "sources")) {
                found.push(parts.join(name));
            }
        }
    }
    Ok(found)
}

/// One place of one kind of binary packages.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    uri: String,
    suites: Vec<String>,
}

impl Entry {
    fn suite_among(&self, wanted: impl Fn(&str) -> bool) -> bool {
        self.suites.iter().any(|suite| wanted(suite))
    }
}

fn entries(deb822: bool, text: &str) -> Vec<Entry> {
    if deb822 {
        stanzas(text)
    } else {
        text.lines().filter_map(one_line).collect()
    }
}

/// Reads `deb [options] URI suite component…`.
fn one_line(line: &str) -> Option<Entry> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?;
    let rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    words.next()?;
    Some(Entry {
        uri: uri.to_owned(),
        suites: vec![suite.to_owned()],
    })
}

/// Reads stanzas of `Field: value`, which may go on in indented lines.
fn stanzas(text: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for stanza in lines.split(|line| line.trim().is_empty()) {
        let field = |name: &str| field(stanza, name);
        let on = !field("Enabled")
            .iter()
            .any(|it| matches!(it.as_str(), "no" | "false" | "0" | "off"));
        if on && field("Types").iter().any(|it| it == "deb") {
            let suites = field("Suites");
            found.extend(field("URIs").into_iter().map(|uri| Entry {
                uri,
                suites: suites.clone(),
            }));
        }
    }
    found
}

fn field(stanza: &[&str], name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut inside = false;
    for line in stanza {
        let value = if line.starts_with([' ', '\t']) {
            inside.then_some(*line)
        } else {
            let (key, value) = line.split_once(':').unwrap_or((line, ""));
            inside = key.eq_ignore_ascii_case(name);
            inside.then_some(value)
        };
        words.extend(
            value
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned),
        );
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "\
# http://old.invalid/
Types: deb
URIs: http://mirror.invalid/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs:
 http://mirror.invalid/debian-security/
Suites: bookworm-security
Components: main
";

    fn choose(
        given: Option<&str>,
        texts: &[(bool, &str)],
    ) -> Result<(String, String), MirrorError> {
        let texts: Vec<_> = texts
            .iter()
            .map(|(deb822, text)| (*deb822, (*text).to_owned()))
            .collect();
        Mirrors::choose(given, &texts).map(|it| (it.archive, it.security))
    }

    fn pair(archive: &str, security: &str) -> Result<(String, String), MirrorError> {
        Ok((archive.to_owned(), security.to_owned()))
    }

    #[test]
    fn the_mirror_is_taken_from_deb822_sources() {
        let found = choose(None, &[(true, DEB822)]);
        assert_eq!(
            found,
            pair(
                "http://mirror.invalid/debian",
                "http://mirror.invalid/debian-security"
            )
        );
    }

    #[test]
    fn the_mirror_is_taken_from_one_line_sources() {
        let text = "deb-src http://a.invalid/debian trixie main\n# deb http://b.invalid/debian trixie main\n\
            deb [arch=amd64 signed-by=/x] https://c.invalid/debian/ trixie main contrib\n";
        let found = choose(None, &[(false, text)]);
        assert_eq!(
            found,
            pair(
                "https://c.invalid/debian",
                "https://c.invalid/debian-security"
            )
        );
    }

    #[test]
    fn other_archives_are_passed_over() {
        let other = "deb https://packages.invalid/apt cloud-sdk-bookworm main\n";
        let error = choose(None, &[(false, other)]).unwrap_err();
        assert!(
            error.to_string().contains("--mirror http://HOST/debian"),
            "{error}"
        );
        assert!(choose(None, &[(false, other), (true, DEB822)]).is_ok());
    }

    #[test]
    fn a_disabled_stanza_does_not_count() {
        let text = DEB822.replace("Types: deb\n", "Enabled: no\nTypes: deb\n");
        assert!(matches!(
            choose(None, &[(true, &text)]),
            Err(MirrorError::None { .. })
        ));
    }

    #[test]
    fn a_given_mirror_comes_with_its_own_security_archive() {
        let found = choose(Some("http://near.invalid/debian/"), &[(true, DEB822)]);
        assert_eq!(
            found,
            pair(
                "http://near.invalid/debian",
                "http://near.invalid/debian-security"
            )
        );
        let odd = choose(Some("http://near.invalid/pub"), &[(true, DEB822)]);
        assert_eq!(
            odd,
            pair(
                "http://near.invalid/pub",
                "http://mirror.invalid/debian-security"
            )
        );
        assert!(matches!(
            choose(Some("http://near.invalid/pub"), &[]),
            Err(MirrorError::NoSecurity { .. })
        ));
    }

    #[test]
    fn a_local_mirror_is_refused_with_the_reason() {
        let error = choose(Some("file:///srv/debian"), &[]).unwrap_err();
        assert!(error.to_string().contains("sandbox"), "{error}");
    }

    #[test]
    fn the_sources_name_the_archive_its_updates_and_security() {
        let mirrors = Mirrors {
            archive: "http://m.invalid/debian".into(),
            security: "http://m.invalid/sec".into(),
        };
        insta::assert_snapshot!(mirrors.sources().unwrap().to_string(), @r"
        # Packages of the build; written by `cargo image`.
        Types: deb
        URIs: http://m.invalid/debian
        Suites: trixie trixie-updates
        Components: main
        Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

        Types: deb
        URIs: http://m.invalid/sec
        Suites: trixie-security
        Components: main
        Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
        ");
    }
}
