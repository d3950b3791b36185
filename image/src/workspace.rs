//! Where things are: the sources, and the folder that everything built goes into.

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use crate::profile::Profile;

/// A checkout of the project.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    root: Utf8PathBuf,
    /// Another checkout whose tools and downloaded packages are used; nothing else of it is.
    shared: Option<Utf8PathBuf>,
}

impl Workspace {
    /// Finds the checkout that the current folder, or else this program, belongs to.
    pub(crate) fn find() -> Result<Self> {
        let here = std::env::current_dir().context("cannot tell the current folder")?;
        let here = Utf8PathBuf::try_from(here)
            .context("cannot work in a folder whose name is not UTF-8")?;
        let ours = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
        match here
            .ancestors()
            .chain(ours.ancestors())
            .find(|folder| is_checkout(folder))
        {
            Some(root) => Ok(Self::at(root)),
            None => bail!("cannot find the sources: run it inside a checkout of Slapbox"),
        }
    }

    pub(crate) fn at(root: &Utf8Path) -> Self {
        Self {
            root: root.to_owned(),
            shared: None,
        }
    }

    /// Returns a checkout that builds all from its beginning, with the tools and packages of this one.
    pub(crate) fn fresh(&self, root: &Utf8Path) -> Self {
        Self {
            root: root.to_owned(),
            shared: Some(self.target()),
        }
    }

    /// Returns whether nothing of an earlier build may be used.
    pub(crate) fn is_fresh(&self) -> bool {
        self.shared.is_some()
    }

    pub(crate) fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// The folder of the image's sources.
    pub(crate) fn sources(&self) -> Utf8PathBuf {
        self.root.join("image")
    }

    /// The folder that everything built goes into.
    pub(crate) fn target(&self) -> Utf8PathBuf {
        self.root.join("target/image")
    }

    /// mkosi and the tools tree.
    pub(crate) fn tools(&self) -> Utf8PathBuf {
        self.lender().join("tools")
    }

    /// Packages as downloaded, shared by all builds.
    pub(crate) fn packages(&self) -> Utf8PathBuf {
        self.lender().join("packages")
    }

    /// All that is built for a profile.
    pub(crate) fn profile(&self, profile: Profile) -> Utf8PathBuf {
        self.target().join(profile.name())
    }

    fn lender(&self) -> Utf8PathBuf {
        self.shared.clone().unwrap_or_else(|| self.target())
    }
}

fn is_checkout(folder: &Utf8Path) -> bool {
    folder.join("image/mkosi.conf").is_file() && folder.join("Cargo.lock").is_file()
}
