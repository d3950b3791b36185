//! Where things are on a box. Everything below `main` takes its paths from here, so that a test has a box in a folder.

use camino::{Utf8Path, Utf8PathBuf};

/// The paths of a box.
#[derive(Debug, Clone)]
pub struct Places {
    /// systemd's credentials for this unit, if it gave any.
    pub credentials: Option<Utf8PathBuf>,
    root: Utf8PathBuf,
}

impl Places {
    /// A real box.
    pub fn of_box(credentials: Option<Utf8PathBuf>) -> Self {
        Self {
            credentials,
            root: Utf8PathBuf::from("/"),
        }
    }

    /// A box that lies in a folder.
    pub fn under(root: &Utf8Path) -> Self {
        Self {
            credentials: None,
            root: root.to_owned(),
        }
    }

    /// What this program keeps: the accepted document, identity, desired state.
    pub fn state(&self) -> Utf8PathBuf {
        self.at("var/lib/slapbox")
    }

    /// What it says to other programs, until the next boot.
    pub fn run(&self) -> Utf8PathBuf {
        self.at("run/slapbox")
    }

    /// The accepted document.
    pub fn configuration(&self) -> Utf8PathBuf {
        self.state().join("configuration.toml")
    }

    /// Key, certificate, CA and master.
    pub fn identity(&self) -> Utf8PathBuf {
        self.state().join("identity")
    }

    /// The last desired state that the master told.
    pub fn desired(&self) -> Utf8PathBuf {
        self.state().join("desired.json")
    }

    /// Any other place, without a leading slash.
    pub fn at(&self, path: &str) -> Utf8PathBuf {
        self.root.join(path)
    }
}
