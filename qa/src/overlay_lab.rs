//! Our overlay at the sites of an underlay, for stories: nodes start and end, links are cut, and who reaches whom is asked.
//! Needs root, `nft` and babeld; all of it ends with its value.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use camino::Utf8Path;
use serde_json::Value;

use crate::eventually::eventually;
use crate::files::empty_folder;
use crate::load::number;
use crate::overlay_node::{OverlayNode, OverlayRegistry};
use crate::probes::Probes;
use crate::story::act;
use crate::underlay::{Plan, Underlay};

/// What a node consists of.
const DAEMONS: [&str; 2] = ["slapbox-re6st", "babeld"];

/// Nodes at the sites of an underlay, with their registry. What runs ends before what it runs on.
#[derive(Debug)]
pub struct OverlayLab {
    nodes: BTreeMap<u16, OverlayNode>,
    registry: OverlayRegistry,
    probes: Probes,
    underlay: Underlay,
}

impl OverlayLab {
    /// Makes the sites and starts the registry of this `slapbox-re6st`; no node runs yet.
    pub async fn open(program: &Utf8Path, plan: &Plan, folder: &Utf8Path) -> Result<Self> {
        empty_folder(folder)?;
        let underlay = Underlay::make(plan, folder).await?;
        Ok(Self {
            nodes: BTreeMap::new(),
            registry: OverlayRegistry::start(program, underlay.site(1)?, folder).await?,
            probes: Probes::default(),
            underlay,
        })
    }

    /// What the nodes are on.
    pub fn underlay(&mut self) -> &mut Underlay {
        &mut self.underlay
    }

    /// A node that runs.
    pub fn node(&mut self, number: u16) -> Result<&mut OverlayNode> {
        let node = self.nodes.get_mut(&number);
        node.with_context(|| format!("node {number} does not run"))
    }

    /// The registry.
    pub fn registry(&mut self) -> &mut OverlayRegistry {
        &mut self.registry
    }

    /// The nodes that run.
    pub fn numbers(&self) -> Vec<u16> {
        self.nodes.keys().copied().collect()
    }

    /// Starts the nodes of all sites where none runs.
    pub fn start_all(&mut self) -> Result<()> {
        let sites: Vec<u16> = self.underlay.sites().map(|site| site.number).collect();
        let idle = sites.into_iter().filter(|it| !self.nodes.contains_key(it));
        let idle: Vec<u16> = idle.collect();
        idle.into_iter().try_for_each(|number| self.start(number))
    }

    /// Starts the node of a site, with what it kept if it ran before.
    pub fn start(&mut self, number: u16) -> Result<()> {
        act(format_args!("node {number} starts"));
        let site = self.underlay.site(number)?;
        if self.probes.address(number).is_err() {
            self.probes.begin_at(site)?;
        }
        let node = self.registry.start_node(site)?;
        self.nodes.insert(number, node);
        Ok(())
    }

    /// Kills a node's daemons; its links and routes are left to the kernel.
    pub fn kill(&mut self, number: u16) {
        act(format_args!("node {number} is killed"));
        self.nodes.remove(&number);
    }

    /// Ends a site with all that is there, as a power cut would.
    pub fn cut_power(&mut self, number: u16) -> Result<()> {
        act(format_args!("site {number} loses its power"));
        self.underlay.cut_power(number)?;
        self.nodes.remove(&number);
        self.probes.forget(number);
        Ok(())
    }

    /// Takes what follows for a time of its own.
    pub fn begin_to_watch(&self) {
        self.probes.begin_to_watch();
    }

    /// Waits until each node that runs has an answer from each other to a question that is asked from now on.
    pub async fn all_reach_each_other(&mut self, deadline: Duration) -> Result<()> {
        let (since, numbers) = (Instant::now(), self.numbers());
        self.probes.begin_to_watch();
        let what = format!("{} nodes reach each other", numbers.len());
        eventually(what, async || {
            self.ask_all()?;
            let silent = self.probes.answers().silent(&numbers, since);
            ensure!(silent.is_empty(), "these do not: {silent:?}");
            Ok(())
        })
        .within(deadline)
        .await
    }

    /// Waits until two nodes have a tunnel of their own that carries something, and travels by this: `udp` or `tls`.
    pub async fn are_linked(
        &mut self,
        one: u16,
        other: u16,
        by: &str,
        deadline: Duration,
    ) -> Result<()> {
        let peer = format!("COMP-{other}");
        eventually(format!("{one} and {other} have a tunnel"), async || {
            let status = self.node(one)?.status()?.context("it says nothing yet")?;
            let links = status["links"].as_array().context("it has no links")?;
            let is_meant = |link: &Value| link["peer"] == peer && link["carrier"] == by;
            let is_up = |link: &Value| is_meant(link) && link["state"] == "up";
            ensure!(links.iter().any(is_up), "{status}");
            Ok(())
        })
        .within(deadline)
        .await
    }

    /// The longest time that one of these had no answer from another, since the watch began.
    pub fn longest_outage(&self, among: &[u16]) -> Option<Duration> {
        let answers = self.probes.answers();
        let outage = answers.longest_outage(among, Instant::now());
        outage.map(|outage| outage.lasted)
    }

    /// The memory of a node's daemons, in MB.
    pub fn memory(&self) -> Result<f64> {
        let mut used = 0.0;
        for site in self.underlay.sites() {
            let processes = site.processes()?.into_iter();
            let daemons = processes.filter(|it| DAEMONS.contains(&it.program()));
            used += daemons
                .filter_map(|it| it.usage().ok())
                .map(|it| it.rss)
                .sum::<f64>();
        }
        Ok(used / number(self.nodes.len()))
    }

    /// How many packets came to their last hop on their way, at all sites: a loop is where they do.
    pub fn expired(&self) -> Result<usize> {
        let mut count = 0;
        for site in self.underlay.sites() {
            let counters = site.run(&["cat", "/proc/net/snmp6"])?;
            let expired = counters
                .lines()
                .find_map(|line| line.strip_prefix("Icmp6OutTimeExcds"));
            let expired = expired.map_or("0", str::trim).parse::<usize>();
            count += expired.context("a counter is a number")?;
        }
        Ok(count)
    }

    /// How many tunnels there are in kernels that no node says to have.
    pub fn idle_tunnels(&self) -> Result<usize> {
        let mut count = 0;
        for site in self.underlay.sites() {
            let links = site.run(&["ip", "-brief", "link", "show"])?;
            let names = links
                .lines()
                .filter_map(|line| line.split(['@', ' ']).next());
            let tunnels = names.filter(|name| name.starts_with("slt")).count();
            let status = self.nodes.get(&site.number).map(OverlayNode::status);
            let status = status.transpose()?.flatten().unwrap_or_default();
            let told = status["links"].as_array().map_or(0, Vec::len);
            count += tunnels.saturating_sub(told);
        }
        Ok(count)
    }

    /// Asks at each address that a node has by now.
    fn ask_all(&mut self) -> Result<()> {
        for (&number, node) in &mut self.nodes {
            if let Some(address) = node.address()? {
                self.probes.ask(number, address);
            }
        }
        Ok(())
    }
}
