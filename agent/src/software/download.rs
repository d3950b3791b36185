//! Brings an archive to the disk as it arrives: decompressed, counted against the disk's free space, never in memory.

use std::fs::File;
use std::io::{self, Read, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use futures_util::StreamExt as _;
use reqwest::Url;
use tokio::sync::mpsc;

use super::budget::Budget;
use super::unpack::decompressed;
use crate::master::is_trusted_way;
use crate::workload::Fetcher;

/// An archive could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    #[error("`{0}` is not a URL")]
    NotAUrl(String),
    #[error("it is not fetched over https")]
    NotHttps,
    #[error("failed to ask its server")]
    Ask(#[source] reqwest::Error),
    #[error("its server answers {0}")]
    Status(reqwest::StatusCode),
    #[error("it has {announced} bytes, and there is room for {room} on the disk")]
    TooLarge { announced: u64, room: u64 },
    #[error("failed to receive it")]
    Receive(#[source] reqwest::Error),
    #[error("failed to write it to `{path}`")]
    Write {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
}

/// How many pieces may wait between network and disk.
const WAITING_PIECES: usize = 4;
const BUFFER: usize = 64 * 1024;

/// Fetches `url` into the new file `path`.
pub(super) async fn download(
    fetcher: &Fetcher,
    url: &str,
    path: &Utf8Path,
) -> Result<(), DownloadError> {
    let url = Url::parse(url).map_err(|_| DownloadError::NotAUrl(url.to_owned()))?;
    check_scheme(&url)?;
    let write_error = |source| DownloadError::Write {
        path: path.to_owned(),
        source,
    };
    let folder = path.parent().unwrap_or(path);
    let budget = Budget::of_disk(folder).map_err(write_error)?;
    let response = fetcher.client(&url).get(url).send().await;
    let response = response.map_err(|error| DownloadError::Ask(error.without_url()))?;
    check_scheme(response.url())?;
    if !response.status().is_success() {
        return Err(DownloadError::Status(response.status()));
    }
    if let Some(announced) = response.content_length()
        && announced > budget.bytes()
    {
        let room = budget.bytes();
        return Err(DownloadError::TooLarge { announced, room });
    }
    let (pieces, arriving) = mpsc::channel(WAITING_PIECES);
    let target = path.to_owned();
    let writing = tokio::task::spawn_blocking(move || write(arriving, &target, budget));
    let received = receive(response, pieces).await;
    let written = writing.await.map_err(|error| write_error(error.into()))?;
    // A cut connection is the cause of what the writer then says.
    received?;
    written.map_err(write_error)
}

fn check_scheme(url: &Url) -> Result<(), DownloadError> {
    if is_trusted_way(url) {
        Ok(())
    } else {
        Err(DownloadError::NotHttps)
    }
}

async fn receive(
    response: reqwest::Response,
    pieces: mpsc::Sender<io::Result<Vec<u8>>>,
) -> Result<(), DownloadError> {
    let mut body = response.bytes_stream();
    while let Some(piece) = body.next().await {
        let piece = match piece {
            Ok(piece) => Ok(piece.to_vec()),
            Err(error) => {
                // The writer must not take the end of the stream for the end of the archive.
                let cut = io::Error::from(io::ErrorKind::ConnectionAborted);
                let _ = pieces.send(Err(cut)).await;
                return Err(DownloadError::Receive(error.without_url()));
            }
        };
        if pieces.send(piece).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn write(
    arriving: mpsc::Receiver<io::Result<Vec<u8>>>,
    path: &Utf8Path,
    mut budget: Budget,
) -> io::Result<()> {
    let mut content = decompressed(Arriving {
        pieces: arriving,
        piece: io::Cursor::default(),
    })?;
    let mut file = File::create_new(path)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(()),
            count => {
                budget.take_bytes(count as u64)?;
                file.write_all(&buffer[..count])?;
            }
        }
    }
}

/// The pieces of a body as one reader, for a thread that may wait.
struct Arriving {
    pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.piece.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.piece = io::Cursor::new(piece?),
            }
        }
    }
}
