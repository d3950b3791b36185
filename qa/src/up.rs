//! `cargo qa up`: from a fresh machine to a service that answers over the overlay, a line for every step.
//! Leaves nothing behind but what was built, unless it is told to keep the lab.

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::evidence;
use crate::host::Host;
use crate::instance::Forwarded;
use crate::lab::Lab;
use crate::master::Master;
use crate::node::Node;
use crate::product::{self, Product};
use crate::run::run;
use crate::seed::Seed;
use crate::story::{act, detail, spoken};

const TITLE: &str = "hello";
const GREETING: &str = "Hello from a Slapbox";

/// How to play it.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// End with the verdict once the service answers.
    pub once: bool,
    /// Keep the lab's folder.
    pub keep: bool,
}

/// What stands when everything is up; all of it ends with the value.
#[derive(Debug)]
struct Standing {
    master: Master,
    _node: Node,
    way: Forwarded,
    overlay_url: String,
}

/// Sets everything up, shows it, and stays until it is interrupted.
pub async fn up(wish: Wish) -> Result<()> {
    let start = Instant::now();
    let host = Host::prepare().await?;
    build(&host).await?;
    let mut lab = Lab::open("up", Product::find()?)?;
    let standing = match stand(&mut lab).await {
        Ok(standing) => standing,
        Err(error) => {
            evidence::show(lab.folder(), &format!("{error:#}"));
            return Err(error);
        }
    };
    show(&standing, &lab, start);
    if !wish.once {
        act("it stays up until Ctrl-C");
        tokio::signal::ctrl_c()
            .await
            .context("cannot wait for Ctrl-C")?;
    }
    drop(standing);
    act("everything is down");
    if wish.keep { Ok(()) } else { lab.clear() }
}

/// Builds what is missing of the product; what is there already costs a moment. Who lays other programs over those of the image
/// takes the image as it is.
pub(crate) async fn build(host: &Host) -> Result<()> {
    if product::has_other_programs() {
        return Ok(());
    }
    for (name, words) in [
        ("set up the tools tree", &["image", "tools"][..]),
        ("build the image", &["image", "build", "--profile", "vm"]),
        ("build the demo release", &["image", "demo"]),
    ] {
        run(name, &host.cargo(words)?, &host.logs).await?;
    }
    Ok(())
}

async fn stand(lab: &mut Lab) -> Result<Standing> {
    let master = lab.boot_master().await?;
    let mut node = lab
        .boot_node("node-1", Seed::joining(&master.token().await?))
        .await?;
    let release = master.publish_demo().await?;
    node.enrols_with(&master).await?;
    node.has_its_partitions(&master).await?;
    let site = master.request(TITLE, &release, &node, GREETING).await?;
    site.is_reported("started").await?;
    let overlay_url = site.url().await?;
    let way = site.answers().await?;
    Ok(Standing {
        master,
        _node: node,
        way,
        overlay_url,
    })
}

fn show(standing: &Standing, lab: &Lab, start: Instant) {
    act(format_args!(
        "up after {}: “{TITLE}” answers",
        spoken(start.elapsed())
    ));
    detail(format_args!(
        "on the overlay, asked from the master:  {}",
        standing.overlay_url
    ));
    detail(format_args!(
        "in a browser on this machine:           {}",
        standing.way.url()
    ));
    detail(format_args!(
        "consoles and logs:                      {}",
        lab.folder()
    ));
    detail(format_args!(
        "the master, as its operator:            {} computer list",
        standing.master.operator().command_line()
    ));
}
