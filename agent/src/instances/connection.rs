//! What an instance publishes: read from a file that its own user wrote, so nothing of it is believed.

use std::collections::BTreeMap;
use std::io;

use super::confinement::CONNECTION;
use crate::inside::Inside;
use crate::partitions::users::Ids;

/// What is published cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error("failed to read the connection parameters")]
    Read(#[source] io::Error),
    #[error("the connection parameters are not the partition's own file")]
    NotItsOwn,
    #[error("the connection parameters are not a JSON object of texts")]
    Malformed(#[source] serde_json::Error),
}

const LONGEST: u64 = 256 * 1024;

/// Returns what the instance publishes, if it does.
pub fn read(
    inside: &Inside,
    ids: Ids,
) -> Result<Option<BTreeMap<String, String>>, ConnectionError> {
    let file = inside.read_owned(CONNECTION, LONGEST);
    let Some((text, owner)) = file.map_err(ConnectionError::Read)? else {
        return Ok(None);
    };
    if owner.uid != ids.uid {
        return Err(ConnectionError::NotItsOwn);
    }
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(ConnectionError::Malformed)
}
