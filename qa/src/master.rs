//! A master: a box with the role, or `slapbox-master` as a process of the host, since a master runs on any Linux machine.
//! Scenarios speak to it as its operator does.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use crate::blob::Blob;
use crate::child::Child;
use crate::eventually::{eventually, minutes};
use crate::instance::{Instance, Release};
use crate::machine::Machine;
use crate::machine::arguments::Hardware;
use crate::network::MasterAddress;
use crate::node::Node;
use crate::operator::{Operator, TokenWish};
use crate::product::{self, Product};
use crate::seed::Seed;
use crate::story::act;

/// What a master's box is called as a node of itself: the first computer there is.
const ITSELF: &str = "COMP-1";
/// Processors of the host that an idle box, emulated, stays below.
const IDLE: f64 = 0.2;

/// A master and its operator.
#[derive(Debug)]
pub struct Master {
    address: MasterAddress,
    folder: Utf8PathBuf,
    operator: Operator,
    place: Place,
    demo: Utf8PathBuf,
}

#[derive(Debug)]
enum Place {
    Box(Box<Machine>),
    // Kept for its end: the process dies with the value.
    Host(#[expect(dead_code, reason = "dropped with the master")] Vec<Child>),
}

impl Master {
    /// Boots a box with the role master and logs the operator in with what its console shows.
    pub async fn boot(product: &Product, folder: &Utf8Path) -> Result<Self> {
        let address = MasterAddress::free()?;
        let hardware = Hardware {
            memory: 1024,
            forwards: address.forwards(),
            ..Hardware::small(1)
        };
        let seed = Seed::master(address);
        let mut machine = Machine::make(
            "master",
            &folder.join("master"),
            hardware,
            product,
            Some(&seed),
        )?;
        machine.boot().await?;
        let blob = eventually(
            "the master's console shows how its operator logs in",
            async || {
                machine.must_run()?;
                Blob::find(&machine.console().text()).with_context(|| last_line(&machine))
            },
        );
        let blob = blob.within(minutes(2)).await?;
        Self::with_operator(
            address,
            folder,
            &blob,
            Place::Box(Box::new(machine)),
            product,
        )
        .await
    }

    /// Starts `slapbox-master` on the host.
    pub async fn start_on_host(product: &Product, folder: &Utf8Path) -> Result<Self> {
        Self::start_beside(product, folder, None).await
    }

    /// Starts `slapbox-master` and the overlay's registry on the host.
    pub async fn start_with_registry_on_host(product: &Product, folder: &Utf8Path) -> Result<Self> {
        act("start the registry on the host");
        let socket = folder.join("registry.sock");
        let mut command = Command::new(product::program("slapbox-re6st")?);
        command
            .arg("registry")
            .args(["--state", folder.join("registry").as_str()])
            .args(["--socket", socket.as_str()]);
        let mut registry = Child::start("the registry", &command, &folder.join("registry.log"))?;
        eventually("the registry has its socket", async || {
            registry.must_live()?;
            ensure!(socket.exists(), "not yet");
            Ok(())
        })
        .within(minutes(1))
        .await?;
        Self::start_beside(product, folder, Some((registry, &socket))).await
    }

    async fn start_beside(
        product: &Product,
        folder: &Utf8Path,
        registry: Option<(Child, &Utf8Path)>,
    ) -> Result<Self> {
        act("start slapbox-master on the host");
        let address = MasterAddress::free()?;
        let data = folder.join("master-data");
        let mut command = Command::new(product::program("slapbox-master")?);
        command.args(["--data", data.as_str()]);
        command.args(["--url", &address.url_for_machines()]);
        command.args(["--listen", &format!("127.0.0.1:{}", address.tls)]);
        let mut processes = Vec::new();
        if let Some((registry, socket)) = registry {
            command.args(["--registry-socket", socket.as_str()]);
            processes.push(registry);
        }
        let mut master = Child::start("slapbox-master", &command, &folder.join("master.log"))?;
        let blob = eventually("the master says how its operator logs in", async || {
            master.must_live()?;
            Blob::find(&master.said()).context("no login line yet")
        });
        let blob = blob.within(minutes(1)).await?;
        processes.push(master);
        Self::with_operator(address, folder, &blob, Place::Host(processes), product).await
    }

    /// Makes a token that one node may use once.
    pub async fn token(&self) -> Result<Blob> {
        act("make a node's token");
        self.operator.token(&TokenWish::default()).await
    }

    /// Makes a token that expires at once.
    pub async fn short_token(&self) -> Result<Blob> {
        act("make a token that expires in a second");
        self.operator.token(&TokenWish { lifetime: Some(1) }).await
    }

    /// Publishes the demo release.
    pub async fn publish_demo(&self) -> Result<Release> {
        self.publish(&self.demo).await
    }

    /// Publishes an archive for all nodes.
    pub async fn publish(&self, archive: &Utf8Path) -> Result<Release> {
        let name = archive.file_name().unwrap_or_default();
        act(format_args!("publish {name}"));
        Ok(Release {
            url: self.operator.publish(archive).await?,
        })
    }

    /// Supplies `release` to `node` and requests a service of it there.
    pub async fn request(
        &self,
        title: &str,
        release: &Release,
        node: &Node,
        greeting: &str,
    ) -> Result<Instance> {
        let computer = node.reference(self).await?;
        act(format_args!(
            "supply the release to {computer} and request “{title}” there"
        ));
        self.operator.supply(&release.url, &computer).await?;
        let instance = Instance::new(
            title,
            release,
            &computer,
            greeting,
            &self.operator,
            &self.folder,
        );
        instance.start().await?;
        Ok(instance)
    }

    /// Waits until the master's box, which is a node of itself, has made its partitions and has nothing left to do.
    pub async fn is_settled(&self) -> Result<()> {
        let Place::Box(machine) = &self.place else {
            anyhow::bail!("this master is no box")
        };
        let settled = eventually("the master has made its partitions and idles", async || {
            self.operator.report_of_all_partitions(ITSELF).await?;
            let load = machine.load().await?;
            ensure!(load < IDLE, "its box uses {load:.1} processors");
            Ok(())
        });
        settled.within(minutes(3)).await
    }

    /// Who speaks to the master.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Takes the power away from the master's box and switches it on again.
    pub async fn restart_after_power_cut(&mut self) -> Result<()> {
        let Place::Box(machine) = &mut self.place else {
            anyhow::bail!("this master is no box")
        };
        machine.cut_power();
        machine.boot().await?;
        let operator = &self.operator;
        let back = eventually("the master answers its operator again", async || {
            machine.must_run()?;
            operator.computers().await.map(drop)
        });
        back.within(minutes(2)).await
    }

    /// The master's URL as the host knows it.
    pub fn url(&self) -> String {
        self.address.url_for_host()
    }

    async fn with_operator(
        address: MasterAddress,
        folder: &Utf8Path,
        blob: &Blob,
        place: Place,
        product: &Product,
    ) -> Result<Self> {
        act("log the operator in");
        let home = folder.join("operator");
        let reached = blob.reached_at(&address.url_for_host());
        let operator = Operator::login(&home, &reached).await?;
        Ok(Self {
            address,
            folder: folder.to_owned(),
            operator,
            place,
            demo: product.demo.clone(),
        })
    }
}

fn last_line(machine: &Machine) -> String {
    machine
        .console()
        .tail(1)
        .pop()
        .unwrap_or_else(|| "the console is silent".to_owned())
}
