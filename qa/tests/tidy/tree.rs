//! The work tree as the rules see it: text files, without what is built.

use std::path::Path;

/// A text file of the work tree.
pub(crate) struct File {
    /// Its path in the work tree.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

impl File {
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    pub(crate) fn is(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|it| it == extension)
    }

    /// The lines before the tests, without comments.
    pub(crate) fn code(&self) -> impl Iterator<Item = &str> {
        let lines = self
            .text
            .lines()
            .take_while(|line| !line.starts_with("#[cfg(test)]"));
        lines.map(|line| line.split("//").next().unwrap_or_default())
    }
}

pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// All text files.
pub(crate) fn files() -> impl Iterator<Item = File> {
    let mut files = Vec::new();
    walk(workspace(), &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.into_iter()
}

pub(crate) fn rust_files() -> impl Iterator<Item = File> {
    files().filter(|file| file.is("rs"))
}

/// Fails with the list of what breaks a rule.
pub(crate) fn none(breaks: impl Iterator<Item = String>) {
    let breaks: Vec<String> = breaks.collect();
    assert!(breaks.is_empty(), "\n{}\n", breaks.join("\n"));
}

fn walk(folder: &Path, files: &mut Vec<File>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_symlink() || ["target", ".git"].contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            walk(&path, files);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let path = path
                .strip_prefix(workspace())
                .unwrap()
                .to_string_lossy()
                .into_owned();
            files.push(File { path, text });
        }
    }
}
