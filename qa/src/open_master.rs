//! Our master without certificates, in slapproxy's place: on the loopback of a box's cell, with calls to it as people make them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use camino::Utf8Path;
use slap::forms::{RequestForm, SupplyForm};
use slap::{Computer, ComputerId, RequestedState, SoftwareInstance, SupplyState};

use crate::cell::Cell;
use crate::child::Child;
use crate::eventually::{eventually, seconds};
use crate::load::{Line, Target, form, get};
use crate::product;
use crate::slapproxy::{ADDRESS, COMPUTER};
use crate::story::act;

/// A master that runs until it is dropped.
#[derive(Debug)]
pub struct OpenMaster<'a> {
    cell: &'a Cell,
    child: Child,
    computer: ComputerId,
}

/// What is requested.
#[derive(Clone, Debug)]
pub struct Wish {
    /// What the instance is called.
    pub title: String,
    /// The URL of its release.
    pub release: String,
    /// What it is configured with.
    pub parameters: BTreeMap<String, String>,
    /// Where it may be, and who may reach it.
    pub conditions: BTreeMap<String, String>,
    /// What it shall be.
    pub state: RequestedState,
}

impl Wish {
    /// An instance that shall be started.
    pub fn started(title: &str, release: &str, parameters: &[(&str, &str)]) -> Self {
        let parameters = parameters.iter();
        Self {
            title: title.to_owned(),
            release: release.to_owned(),
            parameters: parameters
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            conditions: BTreeMap::new(),
            state: RequestedState::Started,
        }
    }

    /// The same instance, under conditions.
    pub fn under(self, conditions: &[(&str, &str)]) -> Self {
        let conditions = conditions.iter();
        let conditions = conditions.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let conditions = conditions.collect();
        Self { conditions, ..self }
    }

    /// The same instance, in another state.
    pub fn that_is(self, state: RequestedState) -> Self {
        Self { state, ..self }
    }
}

impl<'a> OpenMaster<'a> {
    /// Starts one beside a box, which keeps everything below `folder`.
    pub async fn start(cell: &'a Cell, folder: &Utf8Path) -> Result<Self> {
        act("start a master that lets anyone do everything");
        let program = product::program("slapbox-master")?;
        let mut serve = cell.namespace().command_beside(program.as_str())?;
        serve
            .env("MALLOC_ARENA_MAX", "2")
            .args(["--data", folder.join("master").as_str()])
            .args(["--insecure-http", ADDRESS, "--default-computer", COMPUTER]);
        let mut child = Child::start("the master", &serve, &folder.join("master.log"))?;
        eventually("the master is ready", async || {
            child.must_live()?;
            ensure!(child.said().contains("the master is ready"), "not yet");
            Ok(())
        })
        .within(seconds(30))
        .await?;
        let computer = COMPUTER.parse().context("a computer's name")?;
        Ok(Self {
            cell,
            child,
            computer,
        })
    }

    /// Refuses, for good, when it has ended.
    pub fn must_live(&mut self) -> Result<()> {
        self.child.must_live()
    }

    /// Makes calls, one after the other, and returns the bodies of their answers, which must be good.
    pub async fn answers(&self, calls: Vec<Vec<u8>>) -> Result<Vec<String>> {
        let address = ADDRESS.parse().context("an address")?;
        let ask = async move || {
            let mut line = Line::to(Target::plain(address));
            let mut bodies = Vec::new();
            for call in &calls {
                let answer = line.ask(call).await?;
                answer.must_be_good()?;
                bodies.push(String::from_utf8_lossy(answer.body).into_owned());
            }
            Ok(bodies)
        };
        self.cell.namespace().in_its_network(ask).await
    }

    async fn answer(&self, call: Vec<u8>) -> Result<String> {
        let mut bodies = self.answers(vec![call]).await?;
        bodies.pop().context("a call has an answer")
    }

    /// Wants a release on the box, or wants it no more.
    pub async fn supply(&self, release: &str, state: SupplyState) -> Result<()> {
        let wish = SupplyForm {
            url: release.to_owned(),
            computer: self.computer.clone(),
            state,
        };
        let call = form("/supplySupply", &wish.to_pairs());
        self.answer(call).await.map(drop)
    }

    /// Requests an instance, and returns which partition has it.
    pub async fn request(&self, wish: &Wish) -> Result<SoftwareInstance> {
        let mut instances = self.request_all(std::slice::from_ref(wish)).await?;
        instances.pop().context("a request has an answer")
    }

    /// Requests many.
    pub async fn request_all(&self, wishes: &[Wish]) -> Result<Vec<SoftwareInstance>> {
        let calls = wishes.iter().map(|wish| self.call(wish));
        let calls = calls.collect::<Result<_>>()?;
        let bodies = self.answers(calls).await?;
        let instances = bodies.iter().map(|xml| SoftwareInstance::from_xml(xml));
        let instances = instances.collect::<Result<_, _>>();
        instances.context("an answer that is no instance")
    }

    fn call(&self, wish: &Wish) -> Result<Vec<u8>> {
        let mut filter = wish.conditions.clone();
        filter.insert("computer_guid".to_owned(), self.computer.to_string());
        let request = RequestForm {
            project: None,
            requester: None,
            software_url: wish.release.clone(),
            software_type: "default".into(),
            title: wish.title.parse().context("a title")?,
            shared: false,
            parameters: wish.parameters.clone(),
            filter,
            state: Some(wish.state),
        };
        Ok(form("/requestComputerPartition", &request.to_pairs()))
    }

    /// Has the box tell it of so many partitions, which it may have tried before there was a master: until then nothing can be requested.
    pub async fn knows_partitions(&self, wanted: u16) -> Result<()> {
        self.cell.looks_again()?;
        eventually("the master knows the partitions", async || {
            let count = self.computer().await?.partitions.len();
            ensure!(count == usize::from(wanted), "it knows {count}");
            Ok(())
        })
        .within(seconds(60))
        .await
    }

    /// What it wants of the box, and what it has heard of it.
    pub async fn computer(&self) -> Result<Computer> {
        let path = format!("/getFullComputerInformation?computer_id={COMPUTER}");
        let xml = self.answer(get(&path, "")).await?;
        Computer::from_xml(&xml).context("an answer that is no computer")
    }

    /// The last that it has heard of a partition: `#access …` or `#error …`.
    pub async fn heard_of_partition(&self, partition: &str) -> Result<String> {
        let path = format!(
            "/getComputerPartitionStatus?computer_id={COMPUTER}&computer_partition_id={partition}"
        );
        self.answer(get(&path, "")).await
    }

    /// The last that it has heard of a release.
    pub async fn heard_of_release(&self, release: &str) -> Result<String> {
        let computers = self
            .answer(get(&format!("/v1/computers/{COMPUTER}"), ""))
            .await?;
        let computer: slap::v1::Computer =
            serde_json::from_str(&computers).context("an answer that is no computer")?;
        let release = computer.software.into_iter().find(|it| it.url == release);
        match release {
            Some(release) => Ok(release.status),
            None => bail!("the master knows of no such release"),
        }
    }
}
