//! A Debian of somebody's own, at whose keyboard the bench sits: it becomes a node by what a person types.

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use crate::blob::Blob;
use crate::keyboard::{Keyboard, Reply};
use crate::machine::arguments::Hardware;
use crate::node::{Node, SCREEN};
use crate::product::{self, Product};
use crate::story::{act, shortened};

/// What the stock Debian calls itself.
const HOST_NAME: &str = "debian";

/// A machine with Debian's packages alone, and ours on a medium in its drive.
#[derive(Debug)]
pub struct Debian {
    name: String,
    node: Node,
    keyboard: Keyboard,
}

impl Debian {
    /// Boots one.
    pub async fn boot(
        name: &str,
        product: &Product,
        folder: &Utf8Path,
        hardware: Hardware,
    ) -> Result<Self> {
        let stock = Product {
            image: product::stock_debian()?,
            ..product.clone()
        };
        let hardware = Hardware {
            memory: 768,
            medium: Some(medium(product, folder)?),
            has_keyboard: true,
            ..hardware
        };
        let mut node = Node::make(name, &stock, folder, hardware, None)?;
        node.boot().await?;
        let keyboard = Keyboard::at(&node.machine().keyboard_socket()?).await?;
        Ok(Self {
            name: name.to_owned(),
            node,
            keyboard,
        })
    }

    /// Installs our package, without a network.
    pub async fn installs_the_package(&mut self) -> Result<()> {
        self.installs("install the package", "").await?;
        let running = self.what_runs().await?;
        ensure!(
            running.is_empty(),
            "something runs although nobody has asked for it: {running}"
        );
        Ok(())
    }

    /// Installs the package over itself, as an upgrade does.
    pub async fn upgrades_the_package(&mut self) -> Result<()> {
        self.installs("install the package again", "--reinstall")
            .await
    }

    async fn installs(&mut self, what: &str, how: &str) -> Result<()> {
        let line = format!(
            "mount -t erofs -o ro /dev/vdb /mnt && apt-get install -qqy {how} /mnt/slapbox.deb && umount /mnt"
        );
        self.keyboard.does(what, &line).await.map(drop)
    }

    /// Makes sure that no unit of ours has failed.
    pub async fn is_sound(&mut self) -> Result<()> {
        let line = "systemctl list-units --plain --no-legend --state=failed 'slap*'";
        let failed = self.keyboard.types(line).await?.text;
        ensure!(failed.trim().is_empty(), "failed: {failed}");
        let line = "cat /proc/sys/net/ipv6/conf/all/forwarding";
        let forwards = self.keyboard.types(line).await?.text;
        ensure!(forwards.trim() == "1", "it does not forward: {forwards}");
        Ok(())
    }

    /// Removes our package.
    pub async fn removes_the_package(&mut self) -> Result<()> {
        let keyboard = &mut self.keyboard;
        keyboard
            .does("remove the package", "apt-get remove -qqy slapbox")
            .await
            .map(drop)
    }

    /// Purges our package: what people have put into partitions stays, and nothing else of the node.
    pub async fn forgets_the_node(&mut self) -> Result<()> {
        let keyboard = &mut self.keyboard;
        keyboard
            .does("purge the package", "apt-get purge -qqy slapbox")
            .await?;
        let line = "cd / && ls -1d var/lib/slapbox* srv/slapgrid srv/slapgrid/* 2> /dev/null";
        let left = keyboard.types(line).await?.text;
        let left: Vec<&str> = left.split_whitespace().collect();
        ensure!(
            left == ["srv/slapgrid", "srv/slapgrid/slappart0"],
            "left: {left:?}"
        );
        Ok(())
    }

    /// Types `slapbox node …`.
    pub async fn asks(&mut self, words: &str) -> Result<Reply> {
        let shown = shortened(words, 30);
        act(format_args!("type `slapbox node {shown}`"));
        self.keyboard.types(&format!("slapbox node {words}")).await
    }

    /// Types `slapbox node …`, which must succeed.
    pub async fn does(&mut self, words: &str) -> Result<String> {
        let line = format!("slapbox node {words}");
        self.keyboard.does(&line, &line).await
    }

    /// Registers it, by a file with the line.
    pub async fn registers_with(&mut self, blob: &Blob) -> Result<String> {
        let line = format!("umask 077; echo '{}' > line", blob.line());
        self.keyboard
            .does("put the line into a file", &line)
            .await?;
        let words = format!("register {} --token-file line --partitions 20", self.name);
        self.does(&words).await
    }

    /// Takes its power away, switches it on again and sits down at its keyboard.
    pub async fn comes_back_after_a_power_cut(&mut self) -> Result<()> {
        self.node.cut_power();
        self.node.boot().await?;
        self.keyboard = Keyboard::at(&self.node.machine().keyboard_socket()?).await?;
        Ok(())
    }

    /// The units of ours, and of partitions, that run; a line each.
    pub async fn what_runs(&mut self) -> Result<String> {
        let line = "systemctl list-units --plain --no-legend --state=active,activating,deactivating,reloading 'slap*'";
        Ok(self.keyboard.types(line).await?.text.trim().to_owned())
    }

    /// Makes sure that its screen is still its own: a login, and nothing that the agent has drawn.
    pub fn keeps_its_screen(&self) -> Result<()> {
        let console = self.node.console();
        console.line_with(&format!("{HOST_NAME} login:"))?;
        ensure!(
            !console.screen().contains(SCREEN),
            "the agent has drawn on its screen"
        );
        Ok(())
    }

    /// It, as a node.
    pub fn node(&mut self) -> &mut Node {
        &mut self.node
    }
}

/// A medium with our package.
fn medium(product: &Product, folder: &Utf8Path) -> Result<Utf8PathBuf> {
    let (content, medium) = (folder.join("medium"), folder.join("medium.erofs"));
    crate::files::empty_folder(&content)?;
    let package = product::package()?;
    std::fs::copy(&package, content.join("slapbox.deb"))
        .with_context(|| format!("cannot copy {package}"))?;
    let mut command = product.tools.command("mkfs.erofs");
    let made = command.args([&medium, &content]).output();
    let made = made.context("cannot run mkfs.erofs")?;
    ensure!(
        made.status.success(),
        "mkfs.erofs failed: {}",
        String::from_utf8_lossy(&made.stderr).trim()
    );
    Ok(medium)
}
