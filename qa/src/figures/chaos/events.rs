//! What happens: chance chooses what, to whom, and for how long. No more than half of the ways are cut at once, and no more than two nodes are
//! down.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

use super::NODES;
use crate::overlay_lab::OverlayLab;
use crate::story::act;

const MOST_CUTS: usize = 12;
const MOST_DOWN: usize = 2;

/// What was upset and is not mended yet.
#[derive(Debug)]
pub(super) struct Upsets {
    chance: ChaCha8Rng,
    cuts: BTreeSet<(u16, u16)>,
    down: BTreeSet<u16>,
    has_no_registry: bool,
    /// How often each site got another address.
    moves: BTreeMap<u16, u8>,
}

impl Upsets {
    pub(super) fn new(chance: ChaCha8Rng) -> Self {
        Self {
            chance,
            cuts: BTreeSet::new(),
            down: BTreeSet::new(),
            has_no_registry: false,
            moves: BTreeMap::new(),
        }
    }

    /// Has something happen, and returns the nodes to which it did not, which shall go on reaching each other.
    pub(super) async fn happen(&mut self, lab: &mut OverlayLab) -> Result<Vec<u16>> {
        let mut touched = None;
        match self.chance.random_range(0..10) {
            0..=3 if self.cuts.len() < MOST_CUTS => self.cut(lab)?,
            4 | 5 => self.mend(lab)?,
            6 if self.down.len() < MOST_DOWN => touched = self.kill(lab),
            7 => self.restart_all(lab)?,
            8 => touched = Some(self.relocate(lab)?),
            _ => self.toggle_registry(lab).await?,
        }
        let all = lab.numbers().into_iter();
        let spared = all.filter(|number| Some(*number) != touched && !self.down.contains(number));
        Ok(spared.collect())
    }

    /// Undoes all that is left.
    pub(super) async fn mend_all(&mut self, lab: &mut OverlayLab) -> Result<()> {
        for (one, other) in std::mem::take(&mut self.cuts) {
            lab.underlay().mend(one, other)?;
        }
        self.restart_all(lab)?;
        if self.has_no_registry {
            self.toggle_registry(lab).await?;
        }
        Ok(())
    }

    fn anybody(&mut self) -> u16 {
        self.chance.random_range(1..=NODES)
    }

    fn cut(&mut self, lab: &mut OverlayLab) -> Result<()> {
        let (one, other) = (self.anybody(), self.anybody());
        let pair = (one.min(other), one.max(other));
        if one != other && self.cuts.insert(pair) {
            act(format_args!(
                "nothing passes between {} and {}",
                pair.0, pair.1
            ));
            lab.underlay().cut(pair.0, pair.1)?;
        }
        Ok(())
    }

    fn mend(&mut self, lab: &mut OverlayLab) -> Result<()> {
        let count = self.cuts.len();
        if count > 0 {
            let place = self.chance.random_range(0..count);
            let pair = self.cuts.iter().nth(place).copied();
            if let Some((one, other)) = pair {
                act(format_args!("{one} and {other} hear each other again"));
                self.cuts.remove(&(one, other));
                lab.underlay().mend(one, other)?;
            }
        }
        Ok(())
    }

    fn kill(&mut self, lab: &mut OverlayLab) -> Option<u16> {
        let number = self.anybody();
        if !self.down.insert(number) {
            return None;
        }
        lab.kill(number);
        Some(number)
    }

    fn restart_all(&mut self, lab: &mut OverlayLab) -> Result<()> {
        let down = std::mem::take(&mut self.down);
        down.into_iter().try_for_each(|number| lab.start(number))
    }

    fn relocate(&mut self, lab: &mut OverlayLab) -> Result<u16> {
        let number = self.anybody();
        let times = self.moves.entry(number).or_default();
        *times = times.wrapping_add(1);
        act(format_args!("site {number} gets another address"));
        lab.underlay().move_site(number, *times)?;
        Ok(number)
    }

    async fn toggle_registry(&mut self, lab: &mut OverlayLab) -> Result<()> {
        self.has_no_registry = !self.has_no_registry;
        if self.has_no_registry {
            act("the registry ends");
            lab.registry().end();
            Ok(())
        } else {
            act("the registry is back");
            lab.registry().begin().await
        }
    }
}
