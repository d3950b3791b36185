//! Rendered files by their paths, to be printed or written by the caller. No I/O.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

/// Why a file cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    #[error(
        "{path:?} is no relative path below the tree: drop `..`, `.`, empty parts and the slash at the front"
    )]
    Path { path: String },
    #[error("`{path}` is rendered twice")]
    Twice { path: String },
    #[error("`{file}` is a file, and so cannot be the folder of `{path}`")]
    Folder { file: String, path: String },
}

/// Files by their relative paths.
///
/// ```
/// use mkosi_config_builder::Tree;
/// let mut tree = Tree::default();
/// tree.add("mkosi.conf", "[Output]\n")?;
/// assert!(tree.add("../mkosi.conf", "").is_err());
/// assert_eq!(tree.to_string(), "==> mkosi.conf <==\n[Output]\n");
/// # Ok::<(), mkosi_config_builder::tree::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree(BTreeMap<String, String>);

impl Tree {
    /// Adds a file.
    pub fn add(&mut self, path: &str, text: impl ToString) -> Result<(), Error> {
        let odd =
            |part: &str| matches!(part, "" | "." | "..") || part.chars().any(char::is_control);
        if path.split('/').any(odd) {
            return Err(Error::Path {
                path: path.to_owned(),
            });
        }
        if self.0.contains_key(path) {
            return Err(Error::Twice {
                path: path.to_owned(),
            });
        }
        for other in self.0.keys() {
            if let Some((file, path)) = nested(other, path) {
                return Err(Error::Folder {
                    file: file.to_owned(),
                    path: path.to_owned(),
                });
            }
        }
        self.0.insert(path.to_owned(), text.to_string());
        Ok(())
    }

    /// Adds all files of another tree.
    pub fn merge(&mut self, other: Self) -> Result<(), Error> {
        other
            .0
            .into_iter()
            .try_for_each(|(path, text)| self.add(&path, text))
    }

    /// Returns the text of a file.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// Returns the files with their texts, ordered by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (path, text)) in self.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "==> {path} <==\n{text}")?;
        }
        Ok(())
    }
}

/// Returns the file and the path below it, if one of the two lies in the other.
fn nested<'a>(one: &'a str, other: &'a str) -> Option<(&'a str, &'a str)> {
    let below = |file: &str, path: &str| {
        path.strip_prefix(file)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    if below(one, other) {
        Some((one, other))
    } else if below(other, one) {
        Some((other, one))
    } else {
        None
    }
}
