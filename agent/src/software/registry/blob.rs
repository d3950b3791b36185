//! A blob as it arrives: written to the disk, and gone on with from where it was when the connection is cut.

use std::io;
use std::time::Duration;

use camino::Utf8Path;
use reqwest::{StatusCode, Url};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt as _;

use super::{Registry, RegistryError, SILENCE};
use crate::causes::in_one_line;

/// A blob could not be received.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error(transparent)]
    Ask(Box<RegistryError>),
    #[error("the connection was cut {TRIES} times")]
    Cut(#[source] reqwest::Error),
    #[error("its registry went silent {TRIES} times")]
    Silent,
    #[error("it ended {TRIES} times after {found} of {announced} bytes")]
    Short { announced: u64, found: u64 },
    #[error("it has more than the announced {announced} bytes")]
    Long { announced: u64 },
    #[error("failed to write it")]
    Write(#[source] io::Error),
}

const TRIES: u32 = 5;
const FIRST_REST: Duration = Duration::from_millis(500);

/// Receives what a registry has at a URL, until so many bytes are there.
pub(super) async fn receive(
    registry: &Registry<'_>,
    url: &Url,
    announced: u64,
    path: &Utf8Path,
) -> Result<(), BlobError> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    let mut file = options.open(path).await.map_err(BlobError::Write)?;
    let (mut found, mut tries) = (0, 0);
    let mut rest = FIRST_REST;
    loop {
        tries += 1;
        match attempt(registry, url, announced, &mut file, &mut found).await {
            Ok(()) => return file.flush().await.map_err(BlobError::Write),
            Err(error) if tries == TRIES || !is_passing(&error) => return Err(error),
            Err(error) => tracing::info!("again after {found} bytes: {}", in_one_line(&error)),
        }
        tokio::time::sleep(rest).await;
        rest *= 2;
    }
}

async fn attempt(
    registry: &Registry<'_>,
    url: &Url,
    announced: u64,
    file: &mut File,
    found: &mut u64,
) -> Result<(), BlobError> {
    let asked = tokio::time::timeout(SILENCE, registry.ask("layer", url.clone(), *found)).await;
    let asked = asked.map_err(|_| BlobError::Silent)?;
    let mut response = asked.map_err(|error| BlobError::Ask(Box::new(error)))?;
    if response.status() != StatusCode::PARTIAL_CONTENT {
        // All of it once more.
        *found = 0;
        let begin = async {
            use tokio::io::AsyncSeekExt as _;
            file.set_len(0).await?;
            file.rewind().await
        };
        begin.await.map_err(BlobError::Write)?;
    }
    loop {
        let piece = tokio::time::timeout(SILENCE, response.chunk()).await;
        let piece = piece.map_err(|_| BlobError::Silent)?;
        let piece = piece.map_err(|error| BlobError::Cut(error.without_url()))?;
        let Some(piece) = piece else { break };
        if piece.len() as u64 > announced - *found {
            return Err(BlobError::Long { announced });
        }
        file.write_all(&piece).await.map_err(BlobError::Write)?;
        *found += piece.len() as u64;
    }
    if *found < announced {
        let found = *found;
        return Err(BlobError::Short { announced, found });
    }
    Ok(())
}

/// Whether it may go better next time.
fn is_passing(error: &BlobError) -> bool {
    match error {
        BlobError::Cut(_) | BlobError::Silent | BlobError::Short { .. } => true,
        BlobError::Long { .. } | BlobError::Write(_) => false,
        BlobError::Ask(error) => {
            let busy = |status: StatusCode| {
                status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
            };
            matches!(**error, RegistryError::Ask { .. })
                || matches!(**error, RegistryError::Status { status, .. } if busy(status))
        }
    }
}
