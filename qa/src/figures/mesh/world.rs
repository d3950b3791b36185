//! An overlay on an underlay, and what can be asked of both from outside.

mod cost;

use std::time::{Duration, Instant};

use anyhow::Result;
use camino::Utf8Path;
use std::net::Ipv6Addr;
use tokio::time::interval;

use crate::files::empty_folder;
use crate::probes::{Outage, Probes};
use crate::story::{detail, spoken};
use crate::underlay::{Flows, Plan, Site, Underlay};

/// The longest that is waited for anything: the original may need about as long.
const PATIENCE: Duration = Duration::from_secs(200);
/// How often to look whether it is there: what is measured in seconds is not delayed by that.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
const BETWEEN_LINES: Duration = Duration::from_secs(10);
/// A pair that has had no answer for so long is cut off.
const SILENT: Duration = Duration::from_secs(1);
/// After so long without such a pair an outage is over.
const CALM: Duration = Duration::from_secs(10);
/// How long an upset is watched at least: what it brings about may come late.
const WATCHED: Duration = Duration::from_secs(30);
/// How long who speaks to whom is counted.
const COUNTED: Duration = Duration::from_secs(3);

/// An overlay that is measured.
pub(super) trait Overlay: Sized {
    /// What it is called.
    const NAME: &'static str;
    /// Whether it is the one that has goals.
    const HAS_GOALS: bool;
    /// What it is started from.
    type Program;

    /// Makes what is there before the first node starts, and all that its nodes need.
    async fn prepare(
        program: &Self::Program,
        underlay: &Underlay,
        folder: &Utf8Path,
    ) -> Result<Self>;

    /// Starts the node of a site.
    fn start(&mut self, site: &Site) -> Result<()>;

    /// A node's address on the overlay, once it has one; an error if the node has ended.
    fn address(&mut self, number: u16) -> Result<Option<Ipv6Addr>>;

    /// Forgets a node that has died.
    fn forget(&mut self, number: u16);

    /// Whether a process at a site is one that a node has for itself, by its program's name and its command line.
    fn is_daemon(program: &str, words: &[String]) -> bool;
}

/// How long something took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) lasted: Duration,
    /// It was not over when nobody wanted to wait any longer.
    pub(super) in_vain: bool,
}

/// An overlay on an underlay. Order matters: what runs ends before what it runs on.
#[derive(Debug)]
pub(super) struct World<O> {
    overlay: O,
    probes: Probes,
    underlay: Underlay,
}

impl<O: Overlay> World<O> {
    /// Makes so many sites, with nothing running at them.
    pub(super) async fn make(program: &O::Program, count: u16, folder: &Utf8Path) -> Result<Self> {
        empty_folder(folder)?;
        let underlay = Underlay::make(&Plan::full(count), folder).await?;
        Ok(Self {
            overlay: O::prepare(program, &underlay, folder).await?,
            probes: Probes::default(),
            underlay,
        })
    }

    /// Starts nodes, and waits until all that are meant reach each other.
    pub(super) async fn start(&mut self, new: &[u16], all: &[u16]) -> Result<Wait> {
        for &number in new {
            self.probes.begin_at(self.underlay.site(number)?)?;
        }
        let begun = Instant::now();
        for &number in new {
            self.overlay.start(self.underlay.site(number)?)?;
        }
        let mut told = begun;
        let mut look = interval(BETWEEN_LOOKS);
        loop {
            look.tick().await;
            for &number in new {
                if let Some(address) = self.overlay.address(number)? {
                    self.probes.ask(number, address);
                }
            }
            let answers = self.probes.answers();
            if let Some(complete) = answers.complete(all) {
                return Ok(Wait::of(complete - begun));
            }
            if told.elapsed() >= BETWEEN_LINES {
                told = Instant::now();
                let waited = spoken(begun.elapsed());
                let missing = answers.missing(all).len();
                detail(format_args!(
                    "after {waited}: {missing} pairs do not reach each other"
                ));
            }
            if begun.elapsed() >= PATIENCE {
                return Ok(Wait::in_vain());
            }
        }
    }

    /// Waits until nothing has happened for a while.
    pub(super) async fn settle(&mut self) -> Result<()> {
        let all = self.sites();
        self.outage(&all, |_| Ok(())).await.map(drop)
    }

    /// Upsets the underlay, and waits until these sites reach each other lastingly. Returns the longest time that one did not.
    pub(super) async fn outage(
        &mut self,
        sites: &[u16],
        upset: impl FnOnce(&mut Underlay) -> Result<()>,
    ) -> Result<Wait> {
        self.probes.begin_to_watch();
        upset(&mut self.underlay)?;
        let (begun, mut told) = (Instant::now(), Instant::now());
        let mut calm_since = begun;
        let mut look = interval(BETWEEN_LOOKS);
        loop {
            look.tick().await;
            let (answers, now) = (self.probes.answers(), Instant::now());
            let silence = answers.longest_silence(sites, now);
            let Some(silence) = silence.filter(|it| it.lasted >= SILENT) else {
                if now - calm_since >= CALM && now - begun >= WATCHED {
                    let outage = answers.longest_outage(sites, now);
                    return Ok(Wait::of(outage.map(|it| it.lasted).unwrap_or_default()));
                }
                continue;
            };
            calm_since = now;
            if told.elapsed() >= BETWEEN_LINES {
                told = now;
                let (lasted, Outage { asker, asked, .. }) = (spoken(silence.lasted), silence);
                detail(format_args!("{asker} has not reached {asked} for {lasted}"));
            }
            if now - begun >= PATIENCE {
                return Ok(Wait::in_vain());
            }
        }
    }

    /// Ends a cut, and waits until everything is as before.
    pub(super) async fn mend(&mut self, one: u16, other: u16) -> Result<()> {
        self.underlay.mend(one, other)?;
        self.settle().await
    }

    /// Lets go of a node that has died.
    pub(super) fn bury(&mut self, number: u16) {
        self.overlay.forget(number);
    }

    /// Who speaks to whom while all ask each other.
    pub(super) async fn flows(&self) -> Result<Flows> {
        let before = self.underlay.flows()?;
        tokio::time::sleep(COUNTED).await;
        Ok(self.underlay.flows()?.since(&before))
    }

    pub(super) fn underlay(&self) -> &Underlay {
        &self.underlay
    }

    /// A node's address on the overlay.
    pub(super) fn address(&self, number: u16) -> Result<Ipv6Addr> {
        self.probes.address(number)
    }

    fn sites(&self) -> Vec<u16> {
        self.underlay.sites().map(|site| site.number).collect()
    }
}

impl Wait {
    const fn of(lasted: Duration) -> Self {
        Self {
            lasted,
            in_vain: false,
        }
    }

    const fn in_vain() -> Self {
        Self {
            lasted: PATIENCE,
            in_vain: true,
        }
    }
}
