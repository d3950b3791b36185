//! apt reads our sources, without asking the network.

use std::process::Command;

use super::{run, skip, written};
use crate::image;

#[test]
fn apt_reads_the_products_sources() {
    let folder = written(&image::tree());
    let parts = folder.path().join("mkosi.sandbox/etc/apt/sources.list.d");
    // apt takes `.sources` files only.
    std::fs::rename(parts.join("mkosi.sources"), parts.join("box.sources")).unwrap();
    let said = run(Command::new("apt-get")
        .args([
            "indextargets",
            "--format",
            "$(REPO_URI) $(RELEASE) $(COMPONENT) $(CREATED_BY)",
        ])
        .args(["-o", "Dir::Etc::SourceList=/dev/null", "-o"])
        .arg(format!("Dir::Etc::SourceParts={}", parts.display()))
        .args(["-o", "APT::Get::IndexTargets::OnlyReleased=false"])
        .arg("-o")
        .arg(format!("Dir::State::Lists={}", folder.path().display())));
    let Some(said) = said else {
        return skip("no apt-get");
    };
    assert!(said.success, "{}", said.err);
    assert!(!said.err.contains("alformed"), "{}", said.err);
}
