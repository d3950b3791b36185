//! What nodes take of the machine and of the underlay while nobody wants anything of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Overlay, World};
use crate::load::{Usage, number};
use crate::underlay::Site;

/// How long they are watched.
const IDLE: Duration = Duration::from_secs(30);

/// What nodes take.
#[derive(Clone, Copy, Debug)]
pub(in crate::figures::mesh) struct Cost {
    /// All memory of one node's daemons, in MB.
    pub(in crate::figures::mesh) rss: f64,
    /// The same without what others pay of what they share, in MB.
    pub(in crate::figures::mesh) pss: f64,
    /// Processor time of all of them, in hundredths of a processor.
    pub(in crate::figures::mesh) cpu: f64,
    /// Of that their babeld.
    pub(in crate::figures::mesh) babeld: f64,
    /// What they say on the underlay, in kB a second.
    pub(in crate::figures::mesh) traffic: f64,
}

/// What a daemon took until now.
#[derive(Clone, Copy, Debug)]
struct Daemon {
    site: u16,
    is_babeld: bool,
    usage: Usage,
}

impl<O: Overlay> World<O> {
    /// Lets nobody ask anything, and looks what that takes; the first site, where registries are, is left out of memory.
    pub(in crate::figures::mesh) async fn idle_cost(&self) -> Result<Cost> {
        let asked = self.probes.rest();
        let (begun, flows, before) = (Instant::now(), self.underlay.flows()?, self.usages()?);
        tokio::time::sleep(IDLE).await;
        let (after, seconds) = (self.usages()?, begun.elapsed().as_secs_f64());
        let said = self.underlay.flows()?.since(&flows).total();
        self.probes.ask_all(asked);
        let spent = |is_meant: fn(&Daemon) -> bool| {
            let meant = after.iter().filter(|(_, it)| is_meant(it));
            let spent = meant.map(|(process, it)| {
                // One that is new has spent all that it has spent.
                it.usage.cpu - before.get(process).map_or(0.0, |it| it.usage.cpu)
            });
            spent.sum::<f64>() / seconds * 100.0
        };
        let of_nodes = || after.values().filter(|it| it.site != 1).map(|it| it.usage);
        let nodes = number(self.underlay.sites().filter(|it| it.number != 1).count());
        Ok(Cost {
            rss: of_nodes().map(|it| it.rss).sum::<f64>() / nodes,
            pss: of_nodes().map(|it| it.pss).sum::<f64>() / nodes,
            cpu: spent(|_| true),
            babeld: spent(|it| it.is_babeld),
            traffic: kilobytes(said) / seconds,
        })
    }

    /// What every daemon took until now, by its process.
    fn usages(&self) -> Result<BTreeMap<u32, Daemon>> {
        let mut usages = BTreeMap::new();
        for site in self.underlay.sites() {
            usages.extend(daemons::<O>(site)?);
        }
        Ok(usages)
    }
}

fn daemons<O: Overlay>(site: &Site) -> Result<Vec<(u32, Daemon)>> {
    let processes = site.processes()?.into_iter();
    let daemons = processes.filter(|process| O::is_daemon(process.program(), &process.words));
    let took = daemons.filter_map(|process| {
        // One that ends in this very moment has nothing any more.
        let daemon = Daemon {
            site: site.number,
            is_babeld: process.program() == "babeld",
            usage: process.usage().ok()?,
        };
        Some((process.id, daemon))
    });
    Ok(took.collect())
}

fn kilobytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1000).unwrap_or(u32::MAX))
}
