//! A stick with the label SLAPBOX and a configuration document on it, and a look at what a box has left of the document.
//! Made with mtools from the image's own tools tree; needs no root and no mount.

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use crate::files;
use crate::product::Tools;
use crate::seed::Seed;

const SIZE: &str = "16384";

/// The image of a stick, a file of the lab.
#[derive(Debug)]
pub struct Stick {
    path: Utf8PathBuf,
}

impl Stick {
    /// Formats a stick and copies `seed` onto it.
    pub fn with(seed: &Seed, path: &Utf8Path, tools: &Tools) -> Result<Self> {
        let document = path.with_extension("toml");
        files::put(&document, seed.text())?;
        let _ = std::fs::remove_file(path);
        let path_text = path.as_str();
        run(
            tools,
            "mformat",
            &[
                "-i", path_text, "-C", "-T", SIZE, "-h", "2", "-s", "32", "-v", "SLAPBOX", "::",
            ],
        )?;
        run(
            tools,
            "mcopy",
            &["-i", path_text, document.as_str(), "::slapbox.toml"],
        )?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// The file that stands for the stick.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The document on the stick as it is at this moment.
    pub fn document(&self, tools: &Tools) -> Result<String> {
        run(
            tools,
            "mtype",
            &["-i", self.path.as_str(), "::slapbox.toml"],
        )
    }
}

fn run(tools: &Tools, program: &str, arguments: &[&str]) -> Result<String> {
    let output = tools
        .command(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    ensure!(
        output.status.success(),
        "{program} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
