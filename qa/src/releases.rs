//! The releases that nodes build in tests, the original's and ours: laid out where a box finds them, with all that they are built of.

use std::os::unix::fs::symlink;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use camino::Utf8Path;

const LAY_OUT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../master/tests/peer/lay_out.py"
);

/// Lays them out in a folder that is served at `url`, which ends with a slash. The wheels are those beside the Python.
pub fn lay_out(python: &Utf8Path, folder: &Utf8Path, url: &str) -> Result<()> {
    let here = url.trim_end_matches('/');
    let mut lay = Command::new(python);
    lay.args([LAY_OUT, folder.as_str(), here]);
    // Whoever builds may ask nobody else.
    let host = here.rsplit_once(':').map_or(here, |(url, _)| url);
    let host = host.trim_start_matches("http://");
    lay.args([format!("{here}/wheels"), format!("{host}:*")]);
    let laid = lay.output().context("cannot lay out releases")?;
    ensure!(
        laid.status.success(),
        "releases are not laid out: {}",
        String::from_utf8_lossy(&laid.stderr)
    );
    let peer = python
        .parent()
        .context("the Python does not lie in a folder")?;
    let (wheels, link) = (peer.join("wheels"), folder.join("wheels"));
    symlink(wheels, &link).with_context(|| format!("cannot make {link}"))
}
