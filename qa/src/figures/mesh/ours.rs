//! Ours: a registry, and at each site a node as it is in the image, with Debian's babeld beside it.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::world::Overlay;
use crate::host::Host;
use crate::overlay_node::{OverlayNode, OverlayRegistry};
use crate::product;
use crate::run::run;
use crate::underlay::{Site, Underlay};

/// Our overlay.
#[derive(Debug)]
pub(super) struct Ours {
    // Nodes end before their registry.
    nodes: BTreeMap<u16, OverlayNode>,
    registry: OverlayRegistry,
}

/// Compiles the program as the image's is; or takes that of somebody who tries one before it is in an image.
pub(in crate::figures) async fn program(host: &Host) -> Result<Utf8PathBuf> {
    if product::has_other_programs() {
        return product::program("slapbox-re6st");
    }
    let words = [
        "build",
        "--release",
        "--locked",
        "--package",
        "slapbox-re6st",
    ];
    run("compile the overlay", &host.cargo(&words)?, &host.logs).await?;
    Ok(product::target()?.join("release/slapbox-re6st"))
}

impl Overlay for Ours {
    const NAME: &'static str = "ours";
    const HAS_GOALS: bool = true;
    type Program = Utf8PathBuf;

    async fn prepare(
        program: &Utf8PathBuf,
        underlay: &Underlay,
        folder: &Utf8Path,
    ) -> Result<Self> {
        Ok(Self {
            nodes: BTreeMap::new(),
            registry: OverlayRegistry::start(program, underlay.site(1)?, folder).await?,
        })
    }

    fn start(&mut self, site: &Site) -> Result<()> {
        let node = self.registry.start_node(site)?;
        self.nodes.insert(site.number, node);
        Ok(())
    }

    fn address(&mut self, number: u16) -> Result<Option<Ipv6Addr>> {
        let node = self.nodes.get_mut(&number);
        node.context("a node that was never started")?.address()
    }

    fn forget(&mut self, number: u16) {
        self.nodes.remove(&number);
    }

    fn is_daemon(program: &str, _: &[String]) -> bool {
        ["slapbox-re6st", "babeld"].contains(&program)
    }
}
