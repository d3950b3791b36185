//! What a partition holds of programs and promises, read as what it is: files that their user may have put there to
//! mislead root.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::desired::Fingerprint;
use crate::inside::{Inside, Kind};
use crate::instances::confinement::Run;
use crate::observed::{NotAProgramName, ProgramName};

/// The programs and promises of a partition cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    #[error("failed to read `{0}`")]
    Read(&'static str, #[source] io::Error),
    #[error("`{0}` has a file that cannot be used")]
    Name(&'static str, #[source] NotAProgramName),
    #[error("`{name}` is both in `etc/run` and in `etc/service`")]
    Twice { name: ProgramName },
    #[error("`{folder}` has more than {MOST_PROGRAMS} files")]
    TooMany { folder: &'static str },
}

/// A program of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its file, relative to the partition's directory.
    pub path: String,
    pub run: Run,
    pub content: Fingerprint,
}

const RUN: &str = "etc/run";
const SERVICE: &str = "etc/service";
const PROMISE: &str = "etc/promise";
const BEFORE_REMOVAL: &str = "etc/prerm";
const REMOVAL: &str = "sbin/destroy";
/// Promises that are Python modules.
const PLUGIN: &str = "etc/plugin";
/// Ways from the partition's IPv6 to its IPv4.
const BRIDGE: &str = slapbox_promises::bridge::FOLDER;
/// Programs that write what the partition used.
pub const REPORT: &str = "etc/report";
const MOST_PROGRAMS: usize = 64;
/// What tells two versions of a program apart must be at its beginning.
const MOST_CONTENT: u64 = 1024 * 1024;

/// Returns the programs of the partition.
pub fn programs(inside: &Inside) -> Result<BTreeMap<ProgramName, Found>, ProgramsError> {
    let mut all = BTreeMap::new();
    for (folder, run) in [(RUN, Run::Task), (SERVICE, Run::Service)] {
        for (name, kind) in files(inside, folder)? {
            let path = format!("{folder}/{name}");
            let content = content(inside, folder, name.as_str(), kind)
                .map_err(|source| ProgramsError::Read(folder, source))?;
            let found = Found { path, run, content };
            if all.insert(name.clone(), found).is_some() {
                return Err(ProgramsError::Twice { name });
            }
        }
    }
    Ok(all)
}

/// Returns whether the partition makes any promise. Which ones is seen by what checks them.
pub fn has_promises(inside: &Inside) -> Result<bool, ProgramsError> {
    // A bridge promises that something answers behind it.
    for folder in [PLUGIN, PROMISE, BRIDGE] {
        let listed = inside.list(folder);
        let listed = listed.map_err(|source| ProgramsError::Read(folder, source))?;
        let is_promise = |name: &str| {
            !name.starts_with('.')
                && (folder != PLUGIN || name.ends_with(".py") && name != "__init__.py")
        };
        if listed.iter().any(|(name, _)| is_promise(name)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the bridges that the partition asks for, by name.
pub fn bridges(inside: &Inside) -> Result<BTreeSet<ProgramName>, ProgramsError> {
    let files = files(inside, BRIDGE)?.into_iter();
    Ok(files.map(|(name, _)| name).collect())
}

/// Returns whether a program is one that comes to its end, which is no reason to worry.
pub fn is_task(inside: &Inside, program: &ProgramName) -> io::Result<bool> {
    let listed = inside.list(RUN)?;
    Ok(listed.iter().any(|(name, _)| name == program.as_str()))
}

/// Returns whether the partition has anything to run at its end.
pub fn takes_leave(inside: &Inside) -> Result<bool, ProgramsError> {
    Ok(!endings(inside)?.is_empty() || !files(inside, REPORT)?.is_empty())
}

/// Returns what the partition runs at its end, in order: what it does before it goes, and its own removal last.
pub fn endings(inside: &Inside) -> Result<Vec<Ending>, ProgramsError> {
    let before = files(inside, BEFORE_REMOVAL)?.into_iter();
    let mut all: Vec<_> = before
        .map(|(name, _)| Ending::Script(format!("{BEFORE_REMOVAL}/{name}")))
        .collect();
    let listed = inside.list("sbin");
    let listed = listed.map_err(|source| ProgramsError::Read("sbin", source))?;
    if listed.iter().any(|(name, _)| name == "destroy") {
        all.push(Ending::Removal(REMOVAL.to_owned()));
    }
    Ok(all)
}

/// What a partition runs at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It runs as long as it takes; how it ends is its own affair.
    Script(String),
    /// Without its success nothing is removed.
    Removal(String),
}

/// Returns what has the partition say what it used.
pub fn reports(inside: &Inside) -> Result<BTreeMap<ProgramName, String>, ProgramsError> {
    let files = files(inside, REPORT)?;
    let reports = files.into_iter();
    Ok(reports
        .map(|(name, _)| {
            let path = format!("{REPORT}/{name}");
            (name, path)
        })
        .collect())
}

/// Removes all programs, promises, bridges and reports, so that an instantiation leaves those it wants and no older ones.
pub fn clear(inside: &Inside) -> Result<(), ProgramsError> {
    for folder in [RUN, SERVICE, PROMISE, PLUGIN, BRIDGE, REPORT] {
        let failed = |source| ProgramsError::Read(folder, source);
        for (name, kind) in inside.list(folder).map_err(failed)? {
            if kind != Kind::Folder {
                inside.remove(&format!("{folder}/{name}")).map_err(failed)?;
            }
        }
    }
    Ok(())
}

fn files(inside: &Inside, folder: &'static str) -> Result<Vec<(ProgramName, Kind)>, ProgramsError> {
    let entries = inside
        .list(folder)
        .map_err(|source| ProgramsError::Read(folder, source))?;
    let files = entries
        .into_iter()
        // Hidden files are what editors and package managers leave.
        .filter(|(name, kind)| matches!(kind, Kind::File | Kind::Link) && !name.starts_with('.'));
    let named = files.map(|(name, kind)| {
        let name = ProgramName::new(&name).map_err(|wrong| ProgramsError::Name(folder, wrong))?;
        Ok((name, kind))
    });
    let named = named.collect::<Result<Vec<_>, _>>()?;
    if named.len() > MOST_PROGRAMS {
        return Err(ProgramsError::TooMany { folder });
    }
    Ok(named)
}

fn content(inside: &Inside, folder: &str, name: &str, kind: Kind) -> io::Result<Fingerprint> {
    if kind == Kind::Link {
        return Ok(Fingerprint::of(&inside.read_link(folder, name)?));
    }
    let start = inside.read_start(&format!("{folder}/{name}"), MOST_CONTENT)?;
    Ok(Fingerprint::of(&start))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use camino::Utf8PathBuf;

    use super::*;
    use crate::causes::in_one_line;

    fn partition() -> (tempfile::TempDir, Utf8PathBuf, Inside) {
        let keep = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(keep.path().to_owned()).unwrap();
        for folder in [RUN, SERVICE, PROMISE, BRIDGE, REPORT] {
            std::fs::create_dir_all(path.join(folder)).unwrap();
        }
        let inside = Inside::open(&path).unwrap();
        (keep, path, inside)
    }

    type Mislead = fn(&Utf8PathBuf);

    fn put(path: &Utf8PathBuf, name: &str) {
        std::fs::File::create(path.join(name)).unwrap();
    }

    #[test]
    fn programs_are_the_files_of_two_folders_and_hidden_ones_are_none() {
        let (_keep, path, inside) = partition();
        put(&path, "etc/run/once");
        put(&path, "etc/service/web");
        put(&path, "etc/service/.web.swp");
        symlink("/bin/serve", path.join("etc/service/linked")).unwrap();
        std::fs::create_dir(path.join("etc/service/folder")).unwrap();
        let found = programs(&inside).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|(name, found)| (name.as_str(), found.path.as_str(), found.run))
            .collect();
        assert_eq!(
            found,
            [
                ("linked", "etc/service/linked", Run::Service),
                ("once", "etc/run/once", Run::Task),
                ("web", "etc/service/web", Run::Service),
            ]
        );
    }

    #[test]
    fn what_misleads_is_refused_in_words() {
        let cases: [(&str, Mislead); 4] = [
            (
                "`etc/run` has a file that cannot be used: `a b` cannot be",
                |path| {
                    put(path, "etc/run/a b");
                },
            ),
            ("`web` is both in `etc/run` and in `etc/service`", |path| {
                put(path, "etc/run/web");
                put(path, "etc/service/web");
            }),
            ("`etc/service` has more than 64 files", |path| {
                (0..65).for_each(|number| put(path, &format!("etc/service/{number}")));
            }),
            ("failed to read `etc/run`: ", |path| {
                std::fs::remove_dir(path.join("etc/run")).unwrap();
                symlink("/bin", path.join("etc/run")).unwrap();
            }),
        ];
        for (expected, mislead) in cases {
            let (_keep, path, inside) = partition();
            mislead(&path);
            let words = in_one_line(&programs(&inside).unwrap_err());
            assert!(words.starts_with(expected), "{words}");
        }
    }

    #[test]
    fn clearing_leaves_no_program_no_promise_and_no_report() {
        let (_keep, path, inside) = partition();
        put(&path, "etc/service/web");
        put(&path, "etc/promise/web-answers");
        put(&path, "etc/report/usage");
        put(&path, "etc/bridge/web");
        assert!(has_promises(&inside).unwrap());
        assert_eq!(bridges(&inside).unwrap().len(), 1);
        assert_eq!(reports(&inside).unwrap().len(), 1);
        clear(&inside).unwrap();
        assert!(reports(&inside).unwrap().is_empty());
        assert!(bridges(&inside).unwrap().is_empty());
        assert!(programs(&inside).unwrap().is_empty());
        assert!(!has_promises(&inside).unwrap());
        std::fs::create_dir(path.join(PLUGIN)).unwrap();
        put(&path, "etc/plugin/__init__.py");
        assert!(!has_promises(&inside).unwrap());
        put(&path, "etc/plugin/page.py");
        assert!(has_promises(&inside).unwrap());
    }
}
