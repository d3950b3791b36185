//! A node: a small box that is told whom to join, and what its master and its console say of it.

use anyhow::{Context as _, Result, ensure};
use camino::Utf8Path;
use serde_json::Value;

use crate::console::Console;
use crate::eventually::{eventually, minutes};
use crate::gpt::{SUPERBLOCK, load_partitions};
use crate::machine::Machine;
use crate::machine::arguments::Hardware;
use crate::master::Master;
use crate::product::Product;
use crate::seed::Seed;
use crate::stick::Stick;

/// The first line of every screen.
pub(crate) const SCREEN: &str = "Slapbox ";

/// A box that is or becomes a node.
#[derive(Debug)]
pub struct Node {
    machine: Machine,
}

impl Node {
    /// Makes a node, switched off. Without a seed it must be told who it is by a stick.
    pub fn make(
        name: &str,
        product: &Product,
        folder: &Utf8Path,
        hardware: Hardware,
        seed: Option<Seed>,
    ) -> Result<Self> {
        let seed = seed.map(|seed| seed.named(name));
        let machine = Machine::make(name, &folder.join(name), hardware, product, seed.as_ref())?;
        Ok(Self { machine })
    }

    /// Switches it on.
    pub async fn boot(&mut self) -> Result<()> {
        self.machine.boot().await
    }

    /// Takes its power away.
    pub fn cut_power(&mut self) {
        self.machine.cut_power();
    }

    /// Plugs a stick in.
    pub async fn plug(&mut self, stick: &Stick) -> Result<()> {
        self.machine.plug(stick).await
    }

    /// Pulls a stick out.
    pub async fn pull(&mut self, stick: &Stick) -> Result<()> {
        self.machine.pull(stick).await
    }

    /// Changes one byte at the start of its system, while it is off.
    pub fn alter_one_byte_of_usr(&mut self) -> Result<()> {
        let partitions = load_partitions(self.machine.image())?;
        let usr = partitions.iter().find(|it| it.is_usr());
        let usr = usr.with_context(|| format!("the image has no /usr: {partitions:?}"))?;
        self.machine.alter_byte(usr.start + SUPERBLOCK)
    }

    /// Makes sure that it does not come to its screen for a while.
    pub async fn never_gets_to_its_screen(&mut self) -> Result<()> {
        let console = self.console();
        for _ in 0..20 {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            ensure!(
                console.line_with(SCREEN).is_err(),
                "it has come to its screen"
            );
        }
        Ok(())
    }

    /// The machine under it.
    pub fn machine(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// Its console.
    pub fn console(&self) -> Console {
        self.machine.console()
    }

    /// Its reference, such as `COMP-2`, once the master knows it.
    pub async fn reference(&self, master: &Master) -> Result<String> {
        let computer = self.known_to(master).await?;
        Ok(computer["reference"]
            .as_str()
            .context("a computer without a reference")?
            .to_owned())
    }

    /// Waits until its console has said `words`.
    pub async fn says(&mut self, what: &str, words: &str) -> Result<String> {
        let machine = &mut self.machine;
        let told = eventually(
            format!("the console of {} says that {what}", machine.name()),
            async || {
                machine.must_run()?;
                machine.console().line_with(words)
            },
        );
        told.within(minutes(2)).await
    }

    /// Waits until its screen shows all of `words`.
    pub async fn shows(&mut self, what: &str, words: &[&str]) -> Result<()> {
        let machine = &mut self.machine;
        let shown = eventually(
            format!("the screen of {} shows that {what}", machine.name()),
            async || {
                machine.must_run()?;
                machine.console().shows(words)
            },
        );
        shown.within(minutes(2)).await
    }

    /// Waits until the master has it enrolled.
    pub async fn enrols_with(&mut self, master: &Master) -> Result<()> {
        let enrolled = eventually(format!("{} is enrolled", self.machine.name()), async || {
            self.machine.must_run()?;
            let computer = self.known_to(master).await?;
            let state = computer["state"].as_str().unwrap_or_default();
            ensure!(state == "enrolled", "the master has it as {state}");
            Ok(())
        });
        enrolled.within(minutes(3)).await
    }

    /// Waits until all its partitions are made, and returns the report that says so.
    pub async fn has_its_partitions(&mut self, master: &Master) -> Result<Value> {
        let ready = eventually(
            format!("{} has made its partitions", self.machine.name()),
            async || {
                self.machine.must_run()?;
                let reference = self.reference(master).await?;
                master.operator().report_of_all_partitions(&reference).await
            },
        );
        ready.within(minutes(3)).await
    }

    /// The last report it sent to the master.
    pub async fn report(&self, master: &Master) -> Result<Value> {
        let reference = self.reference(master).await?;
        master.operator().report(&reference).await
    }

    async fn known_to(&self, master: &Master) -> Result<Value> {
        let name = self.machine.name();
        let computers = master.operator().computers().await?;
        let found = computers
            .into_iter()
            .find(|computer| computer["inventory"]["name"] == name);
        found.with_context(|| {
            let seen = self.console().tail(1).pop().unwrap_or_default();
            format!("the master does not know {name}; its console: {seen}")
        })
    }
}
