//! The package lock: what an image is made of, to the byte, and how it differs from what was expected.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result};
use camino::Utf8Path;
use serde::Deserialize;
use thiserror::Error;

use crate::{host, inputs};

/// Why a lock cannot be read, or is not kept.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum LockError {
    #[error("line {line} of the lock is not `NAME VERSION ARCHITECTURE SHA256`: `{text}`")]
    Line { line: usize, text: String },
    #[error(
        "the packages are not those of the lock:\n{difference}\n(`+` is new, `-` is gone, `~` is another; to accept, build without --lock and keep the new packages.lock)"
    )]
    Differs { difference: String },
}

/// One package that was installed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Package {
    version: String,
    sha256: String,
}

/// Packages by name and architecture.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Lock(BTreeMap<(String, String), Package>);

#[derive(Debug, Deserialize)]
struct Manifest {
    packages: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    name: String,
    version: String,
    architecture: String,
}

impl Lock {
    /// Makes the lock of what mkosi's manifests name, hashing the packages as they were downloaded.
    pub(crate) fn of(manifests: &[&Utf8Path], archives: &Utf8Path) -> Result<Self> {
        let mut lock = Self::default();
        for path in manifests {
            let manifest: Manifest = serde_json::from_str(&host::read(path)?)
                .with_context(|| format!("cannot read the manifest `{path}`"))?;
            for it in manifest.packages {
                let deb = archives.join(file_name(&it));
                let sha256 = inputs::file_sha256(&deb).with_context(|| {
                    format!(
                        "cannot lock the package `{}`: its download is gone; build with --force",
                        it.name
                    )
                })?;
                lock.0.insert(
                    (it.name, it.architecture),
                    Package {
                        version: it.version,
                        sha256,
                    },
                );
            }
        }
        Ok(lock)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Fails with the difference unless both are the same.
    pub(crate) fn keep(&self, expected: &Self) -> Result<(), LockError> {
        let difference = expected.difference(self);
        if difference.is_empty() {
            Ok(())
        } else {
            Err(LockError::Differs {
                difference: difference.join("\n"),
            })
        }
    }

    fn difference(&self, new: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut names: Vec<_> = self.0.keys().chain(new.0.keys()).collect();
        names.sort();
        names.dedup();
        for key in names {
            let name = &key.0;
            match (self.0.get(key), new.0.get(key)) {
                (Some(old), None) => lines.push(format!("- {name} {}", old.version)),
                (None, Some(new)) => lines.push(format!("+ {name} {}", new.version)),
                (Some(old), Some(new)) if old.version != new.version => {
                    lines.push(format!("~ {name} {} -> {}", old.version, new.version));
                }
                (Some(old), Some(new)) if old.sha256 != new.sha256 => {
                    lines.push(format!(
                        "~ {name} {}: sha256 {} -> {}",
                        old.version, old.sha256, new.sha256
                    ));
                }
                _ => {}
            }
        }
        lines
    }
}

/// The name that apt gives to a downloaded package.
fn file_name(it: &Listed) -> String {
    format!(
        "{}_{}_{}.deb",
        it.name,
        it.version.replace(':', "%3a"),
        it.architecture
    )
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Packages in the image and its initrd: name, version, architecture, SHA-256 of the .deb."
        )?;
        self.0.iter().try_for_each(|((name, architecture), it)| {
            writeln!(f, "{name} {} {architecture} {}", it.version, it.sha256)
        })
    }
}

impl FromStr for Lock {
    type Err = LockError;

    fn from_str(text: &str) -> Result<Self, LockError> {
        let mut lock = Self::default();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let [name, version, architecture, sha256] = words[..] else {
                return Err(LockError::Line {
                    line: index + 1,
                    text: line.to_owned(),
                });
            };
            let package = Package {
                version: version.to_owned(),
                sha256: sha256.to_owned(),
            };
            lock.0
                .insert((name.to_owned(), architecture.to_owned()), package);
        }
        Ok(lock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(lines: &[&str]) -> Lock {
        lines.join("\n").parse().unwrap()
    }

    #[test]
    fn a_lock_reads_back_as_it_was_written() {
        let lock = lock(&["babeld 1.13.1 amd64 aa", "ca-certificates 2025 all bb"]);
        assert_eq!(lock.to_string().parse::<Lock>(), Ok(lock));
    }

    #[test]
    fn a_difference_is_listed_by_package() {
        let expected = lock(&[
            "a 1 amd64 11",
            "b 1 amd64 22",
            "c 1 all 33",
            "same 1 all 44",
        ]);
        let built = lock(&["b 2 amd64 55", "c 1 all 66", "d 1 all 77", "same 1 all 44"]);
        let error = built.keep(&expected).unwrap_err().to_string();
        for line in ["- a 1", "~ b 1 -> 2", "~ c 1: sha256 33 -> 66", "+ d 1"] {
            assert!(error.contains(line), "{error}");
        }
        assert!(!error.contains("same"), "{error}");
        assert_eq!(expected.keep(&expected), Ok(()));
    }

    #[test]
    fn a_line_that_is_no_package_is_refused() {
        let error = "babeld 1.13.1".parse::<Lock>().unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }

    #[test]
    fn packages_are_hashed_as_downloaded() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(scratch.path()).unwrap();
        let manifest = folder.join("m.json");
        let text = r#"{"packages":[{"type":"deb","name":"dmsetup","version":"2:1.02-2","architecture":"amd64"}]}"#;
        crate::disk::replace(&manifest, text.as_bytes()).unwrap();
        assert!(format!("{:#}", Lock::of(&[&manifest], folder).unwrap_err()).contains("`dmsetup`"));
        crate::disk::replace(&folder.join("dmsetup_2%3a1.02-2_amd64.deb"), b"deb").unwrap();
        let lock = Lock::of(&[&manifest], folder).unwrap();
        assert!(
            lock.to_string().contains("dmsetup 2:1.02-2 amd64 "),
            "{lock}"
        );
        assert_eq!(lock.len(), 1);
    }
}
