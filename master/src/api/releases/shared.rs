//! Releases of several masters, and what they cache: the content is in the database that they share, and the files are what each master has of it.
//! In pieces, so that neither a master nor the database ever has a whole release in its memory.

use camino::Utf8Path;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::upload::{Receiving, Upload};
use crate::api::ApiError;
use crate::master::Master;
use crate::store::releases;

/// How much of a release is in one row.
const PIECE_BYTES: u64 = 1 << 20;

/// Puts the content of an upload into the database. Other masters write between its pieces.
pub(in crate::api) async fn put(
    master: &Master,
    actor: &str,
    upload: &Upload,
) -> Result<(), ApiError> {
    let mut file = File::open(&upload.path).await?;
    for position in 0_i64.. {
        let mut piece = Vec::new();
        (&mut file)
            .take(PIECE_BYTES)
            .read_to_end(&mut piece)
            .await?;
        if piece.is_empty() {
            break;
        }
        let mut writing = master.store.write(actor, master.clock.now()).await?;
        writing.put_piece(&upload.sha256, position, &piece).await?;
        writing.commit().await?;
    }
    Ok(())
}

/// Makes the file with this digest, which another master received.
pub(in crate::api) async fn fetch(
    master: &Master,
    sha256: &str,
    path: &Utf8Path,
) -> Result<(), ApiError> {
    let _held = master.publishing.lock().await;
    if path.exists() {
        return Ok(());
    }
    let mut receiving = Receiving::begin(master).await?;
    for position in 0_i64.. {
        let mut db = master.store.read().await?;
        match releases::piece(&mut db, sha256, position).await? {
            Some(piece) => receiving.write(&piece).await?,
            None => break,
        }
    }
    let fetched = receiving.end().await?;
    if fetched.sha256 != sha256 {
        return Err(ApiError::Internal(
            format!("the database lacks pieces of {sha256}").into(),
        ));
    }
    fetched.keep_as(path).await
}
