//! What a partition asks for: its file in the original's form.

use std::collections::BTreeSet;

use camino::Utf8PathBuf;
use serde::Deserialize;

use super::{DeviceError, Refusal};
use crate::config::storage::is_device;
use crate::inside::Inside;

/// Where a partition says which devices it wants.
/// Source: slapos.core, `slapos/manager/devperm.py`.
pub const FILE: &str = ".slapos-disk-permission";
const LONGEST: u64 = 64 * 1024;

#[derive(Deserialize)]
struct Wish {
    disk: Utf8PathBuf,
}

/// Returns the devices that a partition asks for.
pub fn asked(inside: &Inside) -> Result<BTreeSet<Utf8PathBuf>, DeviceError> {
    match inside.read(FILE, LONGEST).map_err(DeviceError::Read)? {
        Some(text) => parse(&text),
        None => Ok(BTreeSet::new()),
    }
}

pub(super) fn parse(text: &[u8]) -> Result<BTreeSet<Utf8PathBuf>, DeviceError> {
    let wishes: Vec<Wish> = serde_json::from_slice(text).map_err(DeviceError::Form)?;
    let paths = wishes.into_iter().map(|Wish { disk }| {
        // Programs see it there, among the few devices that all programs have.
        if is_device(&disk) {
            return Ok(disk);
        }
        let refusal = Refusal::NoDevice;
        Err(DeviceError::Refused {
            device: disk,
            refusal,
        })
    });
    paths.collect()
}
