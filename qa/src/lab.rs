//! A lab: a folder with a master and nodes in it, for one scenario. It goes when the scenario has passed; when it has failed,
//! everything is kept and the evidence is shown. Machines die with their values.

use anyhow::{Context as _, Result, ensure};
use camino::Utf8PathBuf;

use crate::debian::Debian;
use crate::eventually::{eventually, minutes};
use crate::machine::arguments::Hardware;
use crate::master::Master;
use crate::node::Node;
use crate::product::{self, Product};
use crate::seed::Seed;
use crate::stick::Stick;
use crate::story::act;
use crate::{evidence, files};

/// Where a scenario happens.
#[derive(Debug)]
pub struct Lab {
    folder: Utf8PathBuf,
    product: Product,
    nodes: u8,
}

/// Plays a scenario in a lab of its own. Without a built image it says so and passes.
pub fn scenario(name: &str, story: impl AsyncFnOnce(&mut Lab) -> Result<()>) -> Result<()> {
    let product = match Product::find() {
        Ok(product) => product,
        Err(missing) => return product::skip(name, &format!("{missing:#}")),
    };
    let mut lab = Lab::open(name, product)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start tokio")?;
    act(format_args!("{name}, in {}", lab.folder));
    match runtime.block_on(story(&mut lab)) {
        Ok(()) => lab.clear(),
        Err(error) => {
            evidence::show(&lab.folder, &format!("{error:#}"));
            Err(error)
        }
    }
}

impl Lab {
    /// Opens an empty lab.
    pub fn open(name: &str, product: Product) -> Result<Self> {
        let folder = product::target()?.join("qa").join(name);
        files::empty_folder(&folder)?;
        Ok(Self {
            folder,
            product,
            nodes: 0,
        })
    }

    /// Boots a box with the role master.
    pub async fn boot_master(&self) -> Result<Master> {
        Master::boot(&self.product, &self.folder).await
    }

    /// Starts a master as a process of the host.
    pub async fn start_master_on_host(&self) -> Result<Master> {
        Master::start_on_host(&self.product, &self.folder).await
    }

    /// The same, with a registry beside it: nodes have their prefix, though nobody is linked to the host.
    pub async fn start_master_and_registry_on_host(&self) -> Result<Master> {
        Master::start_with_registry_on_host(&self.product, &self.folder).await
    }

    /// Makes a node of 512 MiB that is told `seed`, and switches it on.
    pub async fn boot_node(&mut self, name: &str, seed: Seed) -> Result<Node> {
        let hardware = self.small_box();
        self.boot(name, hardware, Some(seed)).await
    }

    /// The same, of other hardware than the smallest.
    pub async fn boot_node_of(&mut self, name: &str, of: Hardware, seed: Seed) -> Result<Node> {
        self.boot(name, of, Some(seed)).await
    }

    /// The same, with a clock that says `clock` when the box is switched on.
    pub async fn boot_node_at(&mut self, name: &str, seed: Seed, clock: &str) -> Result<Node> {
        let hardware = Hardware {
            clock: clock.to_owned(),
            ..self.small_box()
        };
        self.boot(name, hardware, Some(seed)).await
    }

    /// The same as `boot_node`, with a place for sticks.
    pub async fn boot_node_with_slot(&mut self, name: &str, seed: Seed) -> Result<Node> {
        let hardware = Hardware {
            takes_sticks: true,
            ..self.small_box()
        };
        self.boot(name, hardware, Some(seed)).await
    }

    /// Makes a node that is told nothing and is switched off.
    pub fn make_node(&mut self, name: &str) -> Result<Node> {
        let hardware = self.small_box();
        Node::make(name, &self.product, &self.folder, hardware, None)
    }

    /// Boots a Debian of somebody's own, with our package in its drive.
    pub async fn boot_debian(&mut self, name: &str) -> Result<Debian> {
        let hardware = self.small_box();
        Debian::boot(name, &self.product, &self.folder, hardware).await
    }

    /// Makes a stick that carries `seed`.
    pub fn stick(&self, name: &str, seed: &Seed) -> Result<Stick> {
        Stick::with(
            seed,
            &self.folder.join(format!("{name}.stick")),
            &self.product.tools,
        )
    }

    /// Waits until a box has erased the token from a stick.
    pub async fn token_is_erased_from(&self, stick: &Stick) -> Result<()> {
        let erased = eventually("the token is erased from the stick", async || {
            let document = stick.document(&self.product.tools)?;
            ensure!(
                !document.contains("slapbox1."),
                "the stick still says: {document}"
            );
            Ok(())
        });
        erased.within(minutes(1)).await
    }

    /// The lab's folder.
    pub fn folder(&self) -> &Utf8PathBuf {
        &self.folder
    }

    /// What is under test.
    pub fn product(&self) -> &Product {
        &self.product
    }

    /// Removes everything.
    pub fn clear(self) -> Result<()> {
        std::fs::remove_dir_all(&self.folder)
            .with_context(|| format!("cannot remove {}", self.folder))
    }

    async fn boot(&mut self, name: &str, hardware: Hardware, seed: Option<Seed>) -> Result<Node> {
        let mut node = Node::make(name, &self.product, &self.folder, hardware, seed)?;
        node.boot().await?;
        Ok(node)
    }

    fn small_box(&mut self) -> Hardware {
        // The master is number 1.
        self.nodes += 1;
        Hardware::small(self.nodes + 1)
    }
}
