//! Brings an archive to the disk as it arrives: decompressed, counted against the disk's free space, never in memory.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use futures_util::StreamExt as _;
use reqwest::{Response, StatusCode, Url};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::time::timeout;

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
    #[error("it has more than {0} bytes")]
    TooLong(usize),
    #[error("its server went silent")]
    Silent,
    #[error("failed to receive it")]
    Receive(#[source] reqwest::Error),
    #[error("failed to write it to `{path}`")]
    Write {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
}

/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// How many pieces may wait between network and disk.
const WAITING_PIECES: usize = 4;
const BUFFER: usize = 64 * 1024;

/// Fetches `url` into the new file `path`.
pub(super) async fn download(
    fetcher: &Fetcher,
    url: &str,
    path: &Utf8Path,
) -> Result<(), DownloadError> {
    let response = ask(fetcher, url).await?;
    bring(response, path, write).await
}

/// Fetches `url` into the new file `path` as it is sent, and not more than is needed to see that it is longer than `length`; returns
/// how long it is, and its SHA-256.
pub(super) async fn download_as_sent(
    fetcher: &Fetcher,
    url: &str,
    path: &Utf8Path,
    length: u64,
) -> Result<(u64, [u8; 32]), DownloadError> {
    let response = ask(fetcher, url).await?;
    bring(response, path, move |arriving, path, budget| {
        write_as_sent(arriving, path, budget, length)
    })
    .await
}

/// Returns what is at `url`; nothing if nothing is.
pub(super) async fn fetch_small(
    fetcher: &Fetcher,
    url: &str,
    most: usize,
) -> Result<Option<Vec<u8>>, DownloadError> {
    let mut response = match ask(fetcher, url).await {
        Err(DownloadError::Status(StatusCode::NOT_FOUND | StatusCode::GONE)) => return Ok(None),
        response => response?,
    };
    let mut content = Vec::new();
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|error| DownloadError::Receive(error.without_url()))?
    {
        if content.len() + piece.len() > most {
            return Err(DownloadError::TooLong(most));
        }
        content.extend_from_slice(&piece);
    }
    Ok(Some(content))
}

async fn ask(fetcher: &Fetcher, url: &str) -> Result<Response, DownloadError> {
    let url = Url::parse(url).map_err(|_| DownloadError::NotAUrl(url.to_owned()))?;
    check_scheme(&url)?;
    let sent = timeout(SILENCE, fetcher.client(&url).get(url).send()).await;
    let response = sent.map_err(|_| DownloadError::Silent)?;
    let response = response.map_err(|error| DownloadError::Ask(error.without_url()))?;
    check_scheme(response.url())?;
    if !response.status().is_success() {
        return Err(DownloadError::Status(response.status()));
    }
    Ok(response)
}

/// What writes what arrives, in a thread that may wait.
trait Writes<T>: FnOnce(Pieces, &Utf8Path, Budget) -> io::Result<T> + Send + 'static {}

impl<T, F: FnOnce(Pieces, &Utf8Path, Budget) -> io::Result<T> + Send + 'static> Writes<T> for F {}

type Pieces = mpsc::Receiver<io::Result<Vec<u8>>>;

async fn bring<T: Send + 'static>(
    response: Response,
    path: &Utf8Path,
    write: impl Writes<T>,
) -> Result<T, DownloadError> {
    let write_error = |source| DownloadError::Write {
        path: path.to_owned(),
        source,
    };
    let folder = path.parent().unwrap_or(path);
    let budget = Budget::of_disk(folder).map_err(write_error)?;
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
    response: Response,
    pieces: mpsc::Sender<io::Result<Vec<u8>>>,
) -> Result<(), DownloadError> {
    let mut body = response.bytes_stream();
    loop {
        let piece = match timeout(SILENCE, body.next()).await {
            Ok(None) => return Ok(()),
            Ok(Some(Ok(piece))) => piece.to_vec(),
            Ok(Some(Err(error))) => {
                cut(&pieces).await;
                return Err(DownloadError::Receive(error.without_url()));
            }
            Err(_) => {
                cut(&pieces).await;
                return Err(DownloadError::Silent);
            }
        };
        if pieces.send(Ok(piece)).await.is_err() {
            return Ok(());
        }
    }
}

/// The writer must not take the end of the stream for the end of the archive.
async fn cut(pieces: &mpsc::Sender<io::Result<Vec<u8>>>) {
    let cut = io::Error::from(io::ErrorKind::ConnectionAborted);
    let _ = pieces.send(Err(cut)).await;
}

fn write(arriving: Pieces, path: &Utf8Path, budget: Budget) -> io::Result<()> {
    let content = decompressed(Arriving::new(arriving))?;
    write_all(content, path, budget, |_| {}).map(drop)
}

fn write_as_sent(
    arriving: Pieces,
    path: &Utf8Path,
    budget: Budget,
    length: u64,
) -> io::Result<(u64, [u8; 32])> {
    let content = Arriving::new(arriving).take(length.saturating_add(1));
    let mut digest = Sha256::new();
    let written = write_all(content, path, budget, |piece| digest.update(piece))?;
    Ok((written, digest.finalize().into()))
}

fn write_all(
    mut content: impl Read,
    path: &Utf8Path,
    mut budget: Budget,
    mut see: impl FnMut(&[u8]),
) -> io::Result<u64> {
    let mut file = File::create_new(path)?;
    let mut buffer = vec![0; BUFFER];
    let mut written = 0;
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(written),
            count => {
                budget.take_bytes(count as u64)?;
                file.write_all(&buffer[..count])?;
                see(&buffer[..count]);
                written += count as u64;
            }
        }
    }
}

/// The pieces of a body as one reader, for a thread that may wait.
struct Arriving {
    pieces: Pieces,
    piece: io::Cursor<Vec<u8>>,
}

impl Arriving {
    fn new(pieces: Pieces) -> Self {
        Self {
            pieces,
            piece: io::Cursor::default(),
        }
    }
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
