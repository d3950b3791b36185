//! The promises that a partition has, and what a look at one came to.

use std::time::{Duration, SystemTime};
use std::{fs, io};

use camino::{Utf8Path, Utf8PathBuf};

use crate::bridge;

/// A promise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Promise {
    pub form: Form,
    /// The name of its file, which a bridge's begins with `bridge-`.
    pub name: String,
    pub path: Utf8PathBuf,
}

/// What a promise is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// `etc/plugin/*.py`: a class that a Python module has.
    Plugin,
    /// `etc/promise/*`: a program whose exit code tells.
    Executable,
    /// `etc/bridge/*`: that something answers behind it.
    Bridge,
}

/// What is asked of a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Is it kept? After programs were started or changed.
    Test,
    /// Has something gone wrong meanwhile that somebody must look at?
    Anomaly,
}

/// What a look at a promise came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub answer: Answer,
    pub when: SystemTime,
    pub took: Duration,
    /// How often it wants to be looked at.
    pub every: Duration,
    pub is_tested: bool,
    pub detects_anomalies: bool,
}

/// What a promise said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It does not answer what it was asked.
    Nothing,
    Kept(String),
    Broken(String),
    /// It did not come to an end, or ended without a word.
    Silent(String),
}

impl Promise {
    /// Returns what tools call it: its file's name without the ending.
    pub fn title(&self) -> &str {
        Utf8Path::new(&self.name).file_stem().unwrap_or(&self.name)
    }
}

impl Outcome {
    /// An outcome of a promise that is as most are.
    pub fn new(answer: Answer, when: SystemTime, took: Duration) -> Self {
        Self {
            answer,
            when,
            took,
            every: EXECUTABLE_EVERY,
            is_tested: true,
            detects_anomalies: true,
        }
    }
}

/// How often an executable is run, as the peer's wrapper has it.
pub const EXECUTABLE_EVERY: Duration = Duration::from_secs(120);
/// More than any instance has.
const MOST: usize = 512;

/// Lists the promises of a partition: plugins first, bridges last, each kind by name.
pub fn list(folder: &Utf8Path) -> io::Result<Vec<Promise>> {
    let mut all = Vec::new();
    for (form, below) in [
        (Form::Plugin, "etc/plugin"),
        (Form::Executable, "etc/promise"),
        (Form::Bridge, bridge::FOLDER),
    ] {
        let entries = match fs::read_dir(folder.join(below)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let Ok(name) = entry?.file_name().into_string() else {
                continue;
            };
            let path = folder.join(below).join(&name);
            if is_promise(form, &name) && path.is_file() {
                let name = match form {
                    Form::Plugin | Form::Executable => name,
                    Form::Bridge => format!("bridge-{name}"),
                };
                all.push(Promise { form, name, path });
            }
        }
    }
    if all.len() > MOST {
        return Err(io::Error::other(format!(
            "there are more than {MOST} promises"
        )));
    }
    all.sort();
    Ok(all)
}

fn is_promise(form: Form, name: &str) -> bool {
    let is_hidden = name.starts_with('.');
    match form {
        Form::Plugin => !is_hidden && name.ends_with(".py") && !name.starts_with("__init__"),
        Form::Executable | Form::Bridge => !is_hidden,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_come_first_and_what_is_no_promise_not_at_all() {
        let keep = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(keep.path()).unwrap();
        assert_eq!(list(folder).unwrap(), []);
        for path in [
            "etc/promise/web.sh",
            "etc/promise/.web.swp",
            "etc/plugin/__init__.py",
            "etc/plugin/page.py",
            "etc/plugin/page.pyc",
            "etc/bridge/web",
        ] {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(path).unwrap();
        }
        let found = list(folder).unwrap();
        let titles: Vec<_> = found.iter().map(|it| (it.form, it.title())).collect();
        assert_eq!(
            titles,
            [
                (Form::Plugin, "page"),
                (Form::Executable, "web"),
                (Form::Bridge, "bridge-web")
            ]
        );
    }
}
