//! Block devices that partitions ask for, in the original's form, and are given: those of the document's list, each to one
//! partition, for as long as the instance is there.
//!
//! A device is given by its owner on the node, and by the confinement of the programs that shall see it (`instances`). Who has
//! which is noted, so that nobody else has it after a boot. What is on a device is never touched: an operator who lists it says
//! so, and erases it where the next one shall not see what is there.

use std::collections::BTreeSet;
use std::io;
use std::sync::Mutex;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::desired::PartitionName;
use crate::disk;
use crate::partitions::users::Ids;
use crate::workload::Paths;

mod asked;
mod judge;
mod look;

pub use asked::{FILE, asked};
pub use judge::Refusal;
use judge::{Facts, judge};
use look::Block;

/// A device that a partition has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The device's file on the node.
    pub node: Utf8PathBuf,
    /// Where its programs see it: as they asked for it.
    pub seen: Utf8PathBuf,
}

/// A device cannot be given, or not be taken back.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error("`{FILE}` cannot be read")]
    Read(#[source] io::Error),
    #[error(
        "`{FILE}` is not what the original reads: a JSON list like [{{\"disk\": \"/dev/disk/by-id/…\"}}]"
    )]
    Form(#[source] serde_json::Error),
    #[error("the block device `{device}` cannot be given: {refusal}")]
    Refused {
        device: Utf8PathBuf,
        refusal: Refusal,
    },
    #[error("failed to look at the block device `{device}`")]
    Look {
        device: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to give away the block device `{device}`")]
    Give {
        device: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to read who has which block device")]
    Notes(#[source] disk::Error),
    #[error(
        "`{0}`, which says who has which block device, is not what this agent wrote: remove it when no instance has one"
    )]
    Spoilt(Utf8PathBuf),
}

/// Who has a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    /// As the document lists it.
    device: Utf8PathBuf,
    partition: PartitionName,
    /// As the partition asked for it.
    seen: Utf8PathBuf,
}

/// The devices of the node that partitions may have.
#[derive(Debug)]
pub struct Devices {
    listed: Vec<Utf8PathBuf>,
    notes: Utf8PathBuf,
    /// Whoever reads the notes to alter them holds this.
    turn: Mutex<()>,
}

impl Devices {
    /// Takes what the document lists, and where it is noted who has which.
    pub fn of(paths: &Paths) -> Self {
        Self {
            listed: paths.devices.clone(),
            notes: paths.claims.clone(),
            turn: Mutex::new(()),
        }
    }

    /// Returns what a partition has, as far as it is there.
    pub fn given(&self, partition: PartitionName) -> Result<Vec<Device>, DeviceError> {
        let claims = self.claims_of(partition).or_else(no_claims)?;
        let mut given = Vec::new();
        for Claim { device, seen, .. } in claims {
            if let Some(Block { node, .. }) = find(&device)? {
                given.push(Device { node, seen });
            }
        }
        Ok(given)
    }

    /// Returns whether a partition has what it asks for, and nothing else.
    pub fn has(
        &self,
        partition: PartitionName,
        ids: Ids,
        asked: &BTreeSet<Utf8PathBuf>,
    ) -> Result<bool, DeviceError> {
        let own = match self.claims_of(partition) {
            // Who asks for nothing is not held up.
            Err(error) if asked.is_empty() => no_claims(error)?,
            own => own?,
        };
        let seen: BTreeSet<_> = own.iter().map(|claim| claim.seen.clone()).collect();
        if seen != *asked {
            return Ok(false);
        }
        for claim in own {
            let block = find(&claim.device)?;
            let is_its = block.is_some_and(|block| block.uid == ids.uid);
            if !is_its || !self.listed.contains(&claim.device) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives a partition what it asks for, all of it, and takes back what it does not ask for any more.
    pub fn give(
        &self,
        partition: PartitionName,
        ids: Ids,
        asked: &BTreeSet<Utf8PathBuf>,
    ) -> Result<(), DeviceError> {
        let _turn = self
            .turn
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        let claims = self.claims()?;
        let stays = |claim: &Claim| {
            let is_wanted = asked.contains(&claim.seen) && self.listed.contains(&claim.device);
            claim.partition != partition || is_wanted
        };
        let (mut claims, gone): (Vec<_>, Vec<_>) = claims.into_iter().partition(stays);
        for claim in &gone {
            take_back(&claim.device)?;
        }
        if !gone.is_empty() {
            self.note(&claims)?;
        }
        let listed = self.find_listed()?;
        let mut nodes = Vec::new();
        for device in asked {
            let block = find(device)?;
            let facts = self.facts(partition, ids, block.as_ref(), &listed, &claims)?;
            let chosen = judge(block, &facts).map_err(|refusal| DeviceError::Refused {
                device: device.clone(),
                refusal,
            })?;
            let name = listed.iter().find(|(_, it)| it.number == chosen.number);
            claims.retain(|claim| claim.partition != partition || claim.seen != *device);
            claims.extend(name.map(|(name, _)| Claim {
                device: (*name).clone(),
                partition,
                seen: device.clone(),
            }));
            nodes.push(chosen.node);
        }
        // Noted before it is given: nobody else has it whatever comes between.
        self.note(&claims)?;
        for node in nodes {
            let given = look::own(&node, ids.uid);
            given.map_err(|source| DeviceError::Give {
                device: node,
                source,
            })?;
        }
        Ok(())
    }

    /// Takes everything back that a partition has.
    pub fn release(&self, partition: PartitionName) -> Result<(), DeviceError> {
        let _turn = self
            .turn
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        let claims = self.claims()?.into_iter();
        let (own, others): (Vec<_>, Vec<_>) =
            claims.partition(|claim| claim.partition == partition);
        for claim in &own {
            take_back(&claim.device)?;
        }
        if own.is_empty() {
            return Ok(());
        }
        self.note(&others)
    }

    fn find_listed(&self) -> Result<Vec<(&Utf8PathBuf, Block)>, DeviceError> {
        let mut found = Vec::new();
        for name in &self.listed {
            found.extend(find(name)?.map(|block| (name, block)));
        }
        Ok(found)
    }

    fn facts(
        &self,
        partition: PartitionName,
        ids: Ids,
        wanted: Option<&Block>,
        listed: &[(&Utf8PathBuf, Block)],
        claims: &[Claim],
    ) -> Result<Facts, DeviceError> {
        let mut taken = Vec::new();
        for claim in claims.iter().filter(|claim| claim.partition != partition) {
            taken.extend(find(&claim.device)?.map(|block| (claim.partition, block)));
        }
        let busy = match wanted {
            // What it has it may use as it likes.
            Some(block) if block.is_block && block.uid != ids.uid => look::is_busy(&block.node)
                .map_err(|source| DeviceError::Look {
                    device: block.node.clone(),
                    source,
                })?,
            Some(_) | None => false,
        };
        Ok(Facts {
            listed: listed.iter().map(|(_, block)| block.number).collect(),
            taken,
            system: look::system_disks().map_err(|source| DeviceError::Look {
                device: "/".into(),
                source,
            })?,
            busy,
        })
    }

    fn claims_of(&self, partition: PartitionName) -> Result<Vec<Claim>, DeviceError> {
        let mut claims = self.claims()?;
        claims.retain(|claim| claim.partition == partition);
        Ok(claims)
    }

    fn claims(&self) -> Result<Vec<Claim>, DeviceError> {
        let Some(text) = disk::read(&self.notes).map_err(DeviceError::Notes)? else {
            return Ok(Vec::new());
        };
        serde_json::from_slice(&text).map_err(|_| DeviceError::Spoilt(self.notes.clone()))
    }

    fn note(&self, claims: &[Claim]) -> Result<(), DeviceError> {
        let text = serde_json::to_vec_pretty(claims).expect("texts become JSON");
        disk::replace_private(&self.notes, &text).map_err(DeviceError::Notes)
    }
}

/// What cannot be understood is nobody's claim; whoever asks for a device hears of it.
fn no_claims(error: DeviceError) -> Result<Vec<Claim>, DeviceError> {
    if matches!(error, DeviceError::Spoilt(_)) {
        return Ok(Vec::new());
    }
    Err(error)
}

fn find(device: &Utf8Path) -> Result<Option<Block>, DeviceError> {
    look::find(device).map_err(|source| DeviceError::Look {
        device: device.to_owned(),
        source,
    })
}

/// A device that is not there any more belongs to nobody.
fn take_back(device: &Utf8Path) -> Result<(), DeviceError> {
    let Some(Block { node, .. }) = find(device)? else {
        return Ok(());
    };
    look::own(&node, 0).map_err(|source| DeviceError::Give {
        device: device.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
