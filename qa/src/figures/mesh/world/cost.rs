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
    /// What they say on the underlay, in kB a second.
    pub(in crate::figures::mesh) traffic: f64,
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
        let spent = after.iter().map(|(process, (_, usage))| {
            // One that is new has spent all that it has spent.
            let before = before.get(process).map_or(0.0, |(_, usage)| usage.cpu);
            usage.cpu - before
        });
        let cpu = spent.sum::<f64>() / seconds * 100.0;
        let of_nodes = || after.values().filter(|(site, _)| *site != 1).map(|it| it.1);
        let nodes = number(self.underlay.sites().filter(|it| it.number != 1).count());
        Ok(Cost {
            rss: of_nodes().map(|it| it.rss).sum::<f64>() / nodes,
            pss: of_nodes().map(|it| it.pss).sum::<f64>() / nodes,
            cpu,
            traffic: kilobytes(said) / seconds,
        })
    }

    /// What every daemon took until now, by its process, with the site it runs at.
    fn usages(&self) -> Result<BTreeMap<u32, (u16, Usage)>> {
        let mut usages = BTreeMap::new();
        for site in self.underlay.sites() {
            usages.extend(daemons::<O>(site)?);
        }
        Ok(usages)
    }
}

fn daemons<O: Overlay>(site: &Site) -> Result<Vec<(u32, (u16, Usage))>> {
    let processes = site.processes()?.into_iter();
    let daemons = processes.filter(|process| O::is_daemon(process.program(), &process.words));
    // One that ends in this very moment has nothing any more.
    Ok(daemons
        .filter_map(|process| Some((process.id, (site.number, process.usage().ok()?))))
        .collect())
}

fn kilobytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1000).unwrap_or(u32::MAX))
}
